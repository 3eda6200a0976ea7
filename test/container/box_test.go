package container

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/rig"
)

// patience is for what should take milliseconds.
const patience = 3 * time.Minute

// box is a container that runs.
type box struct {
	t      *testing.T
	dir    string
	cmd    *exec.Cmd
	over   chan struct{}
	master *os.File // of its terminal
}

// service is `vigil run` of a shell script.
func service(script string, flags ...string) []string {
	args := append([]string{vigil, "run", "--name", "a", "--restart", "never"}, flags...)
	return append(args, "--", "/bin/sh", "-c", script)
}

// start makes a container. The shared directory is the working directory, and
// $D.
func start(t *testing.T, l Layout, terminal bool) *box {
	t.Helper()
	dir, err := os.MkdirTemp("", "vigil-container-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	l.Shared = dir
	l.Env = append([]string{"PATH=" + os.Getenv("PATH"), "D=" + dir, "V=" + vigil}, l.Env...)
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, dir: dir, over: make(chan struct{})}
	b.cmd = exec.Command("/proc/self/exe", roleBox, string(text))
	b.cmd.Dir = dir
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC}
	out, err := os.Create(b.file("output"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	b.cmd.Stdout, b.cmd.Stderr = out, out
	if terminal {
		b.terminal()
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = b.cmd.Wait(); close(b.over) }()
	t.Cleanup(b.cleanUp)
	return b
}

func (b *box) file(name string) string { return filepath.Join(b.dir, name) }

// read returns a file of the shared directory, "" if there is none.
func (b *box) read(name string) string {
	text, _ := os.ReadFile(b.file(name))
	return string(text)
}

// until waits for a line in a file of the shared directory.
func (b *box) until(name, line string) {
	b.t.Helper()
	err := rig.Wait(line+" in "+name, patience, func() (bool, error) {
		select {
		case <-b.over:
			if !strings.Contains(b.read(name), line) {
				return false, fmt.Errorf("the container ended: %v", b.cmd.ProcessState)
			}
		default:
		}
		return strings.Contains(b.read(name), line), nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) signal(s syscall.Signal) {
	b.t.Helper()
	if err := b.cmd.Process.Signal(s); err != nil {
		b.t.Fatalf("cannot send %v: %v", s, err)
	}
}

// end waits for the end and returns the code, 128+n for a signal.
func (b *box) end() int {
	b.t.Helper()
	select {
	case <-b.over:
	case <-time.After(patience):
		b.t.Fatal("the container does not end")
	}
	ws := b.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

func (b *box) ends(code int) {
	b.t.Helper()
	if got := b.end(); got != code {
		b.t.Errorf("the container ended with %d, want %d", got, code)
	}
}

func (b *box) running() bool {
	select {
	case <-b.over:
		return false
	default:
		return true
	}
}

// cleanUp kills what is left: with pid 1 the kernel ends the namespace.
func (b *box) cleanUp() {
	if b.running() {
		_ = b.cmd.Process.Kill()
		<-b.over
	}
	if b.master != nil {
		b.master.Close()
	}
	if b.t.Failed() {
		b.t.Logf("output:\n%s", b.read("output"))
	}
	os.RemoveAll(b.dir)
}

// terminal gives the container a terminal of its own, as docker -t does.
func (b *box) terminal() {
	b.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	b.master = master
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		b.t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		b.t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { slave.Close() })
	b.cmd.Stdin = slave
	b.cmd.SysProcAttr.Setsid, b.cmd.SysProcAttr.Setctty = true, true
}
