package jvm

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// rooted is a target of which only its root directory is there, with a /tmp.
func rooted(t *testing.T) (*target, string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "jvm") // short: sockets are made in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o777); err != nil {
		t.Fatal(err)
	}
	return &target{pid: 1 << 30, inner: 7, root: fd, uid: os.Geteuid(), gid: os.Getegid()}, filepath.Join(dir, "tmp")
}

// TestPlanted: what the target has put into its /tmp leads nowhere else.
func TestPlanted(t *testing.T) {
	tg, tmp := rooted(t)
	real := filepath.Join(tmp, "real")
	l, err := net.Listen("unix", real)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket := filepath.Join(tmp, ".java_pid7")
	if err := os.Symlink(real, socket); err != nil {
		t.Fatal(err)
	}
	if tg.listens() {
		t.Error("a link is taken for the socket")
	}
	if err := os.Rename(real, socket); err != nil {
		t.Fatal(err)
	}
	if !tg.listens() {
		t.Error("the socket is not seen")
	}
	if _, err := tg.command(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "in its place") {
		t.Errorf("another process was asked: %v", err)
	}

	if err := os.Symlink("/etc/passwd", filepath.Join(tmp, ".attach_pid7")); err != nil {
		t.Fatal(err)
	}
	if _, err := tg.askToListen(); err != nil {
		t.Errorf("%v", err) // it counts as somebody's wish; nothing is made or removed
	}
	if _, err := os.Lstat(filepath.Join(tmp, ".attach_pid7")); err != nil {
		t.Error(err)
	}
}

// TestPlantedTmp: a /tmp that is a link is one within its root.
func TestPlantedTmp(t *testing.T) {
	tg, tmp := rooted(t)
	if err := os.Remove(tmp); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"/proc/self/root/tmp", "../../../../usr", "/usr"} {
		if err := os.Symlink(to, tmp); err != nil {
			t.Fatal(err)
		}
		if fd, err := tg.tmp(); err == nil {
			_ = unix.Close(fd)
			t.Errorf("%s was followed", to)
		}
		if err := os.Remove(tmp); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlantedCounters: a pipe does not hold us up, a link and a file of somebody
// else are not read.
func TestPlantedCounters(t *testing.T) {
	tg, tmp := rooted(t)
	tg.perf = "hsperfdata_x"
	file := filepath.Join(tmp, "hsperfdata_x", "7")
	if err := os.Mkdir(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tg.readCounters(); err == nil {
		t.Error("a pipe was read")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", file); err != nil {
		t.Fatal(err)
	}
	if _, err := tg.readCounters(); err == nil || err == errPerfData {
		t.Errorf("a link was followed: %v", err)
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := tg.readCounters(); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("a file of another user was read: %v", err)
	}
}

func TestTrusted(t *testing.T) {
	if !trusted("/bin/sh") {
		t.Error("/bin/sh is not trusted")
	}
	file := filepath.Join(t.TempDir(), "tool") // below /tmp, which everyone can write
	if err := os.WriteFile(file, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if trusted(file) {
		t.Errorf("%s is trusted", file)
	}
}

func TestPerfDirectory(t *testing.T) {
	maps := "7f00-7f01 r--p 0 00:00 0 /usr/lib/libjvm.so\n7f02-7f0a rw-s 00000000 fe:00 12 /tmp/hsperfdata_zoo keeper/4711\n"
	if got := perfDirectory([]byte(maps), 4711); got != "hsperfdata_zoo keeper" {
		t.Errorf("%q", got)
	}
	if got := perfDirectory([]byte(maps), 471); got != "" {
		t.Errorf("%q", got)
	}
}

func TestDisablesAttach(t *testing.T) {
	for line, want := range map[string]bool{
		"java\x00-XX:+DisableAttachMechanism\x00Main\x00": true, "java\x00Main\x00": false, "": false,
		"java\x00-XX:+DisableAttachMechanism\x00-XX:-DisableAttachMechanism\x00Main": false,
	} {
		if got := disablesAttach([]byte(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// TestTail: a dump goes on in the file that has the name after a rotation, and
// after a truncation.
func TestTail(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	write := func(text string, flags int) {
		t.Helper()
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|flags, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write("before\n", 0)
	tl, err := openTail(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { tl.close() }()
	write("one\n", os.O_APPEND)
	tl.more()
	write("two\n", os.O_APPEND)
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	write("three\n", 0)
	tl.more()
	write("4\n", os.O_TRUNC)
	tl.more()
	if string(tl.text) != "one\ntwo\nthree\n4\n" {
		t.Errorf("%q", tl.text)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openTail(fifo); err == nil {
		t.Error("a pipe was opened")
	}
}
