package reload

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
)

// became is what an instance says of itself once a version is in charge.
func (v *vigil) became(version, former string) {
	v.t.Helper()
	if i := v.instance(); i.Version != version || i.Former != former || i.Keeper != "0.1.0" {
		v.t.Errorf("supervisor %s after %s under keeper %s, want %s after %s under 0.1.0", i.Version, i.Former, i.Keeper, version, former)
	}
}

// TestUpgrade and back, and what crashes are followed by.
func TestUpgrade(t *testing.T) {
	v := up(t, service(t, "a", "lines", beats))
	a := v.running("a")
	if strings.Contains(v.must("status"), "keeper") {
		t.Error("status speaks of versions where there is one")
	}
	v.install("two")
	v.done()
	v.became("0.2.0", "0.1.0")
	if out := v.must("status"); !strings.HasPrefix(out, "vigil "+filepath.Base(v.dir)+": supervisor 0.2.0 (before 0.1.0), keeper 0.1.0\n") {
		t.Errorf("status:\n%s", out)
	}
	v.crash()
	v.became("0.2.0", "0.2.0")
	v.install("one") // not asked to take it yet
	v.crash()
	v.became("0.2.0", "0.2.0")
	v.done()
	v.became("0.1.0", "0.2.0")
	v.crash()
	v.became("0.1.0", "0.1.0")
	if s := v.running("a"); s.PID != a.PID || s.Restarts != 0 {
		t.Errorf("the service is %+v, was %+v", s, a)
	}
}

// TestUpgradeBySymbolicLink as with directories of releases.
func TestUpgradeBySymbolicLink(t *testing.T) {
	v := prepared(t)
	if err := os.Remove(v.path); err != nil {
		t.Fatal(err)
	}
	link := func(version string) {
		t.Helper()
		next := v.path + ".new"
		if err := os.Symlink(filepath.Join(bin, version), next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, v.path); err != nil {
			t.Fatal(err)
		}
	}
	link("one")
	v.configure(service(t, "a", "lines", ""))
	v.start("up", v.file("vigil.toml"))
	a := v.running("a")
	for range 2 {
		link("two")
		v.done()
		v.became("0.2.0", "0.1.0")
		link("one")
		v.done()
		v.became("0.1.0", "0.2.0")
	}
	if s := v.running("a"); s.PID != a.PID {
		t.Errorf("the service is %+v, was %+v", s, a)
	}
}

// TestUpgradeByCopy: a program that runs cannot be written to (ETXTBSY); the
// one who copies is told so, and nothing has changed.
func TestUpgradeByCopy(t *testing.T) {
	v := up(t, service(t, "a", "lines", ""))
	v.running("a")
	out, err := exec.Command("cp", filepath.Join(bin, "two"), v.path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Text file busy") {
		t.Errorf("cp: %v, %s", err, out)
	}
	v.done()
	v.became("0.1.0", "0.1.0")
	if out, err := exec.Command("install", "-m", "755", filepath.Join(bin, "two"), v.path).CombinedOutput(); err != nil {
		t.Fatalf("install: %v, %s", err, out)
	}
	v.done()
	v.became("0.2.0", "0.1.0")
}

// TestUpgradeToRubbish: the one that runs goes on, and can still be upgraded.
func TestUpgradeToRubbish(t *testing.T) {
	good := readBinary(t, "two")
	// Of a part the kernel refuses some; where execve works, the first access
	// beyond the end of the file is SIGBUS or SIGSEGV.
	for _, test := range []struct {
		name    string
		program []byte
		mode    os.FileMode
		why     string
	}{
		{"empty", nil, 0o755, "cannot start"},
		{"not a binary", []byte("hello\n"), 0o755, "cannot start"},
		{"truncated in its header", good[:40], 0o755, "cannot start"},
		{"truncated in its first page", good[:3000], 0o755, ""},
		{"truncated in the middle", good[:len(good)/2], 0o755, ""},
		{"not executable", good, 0o644, "permission denied"},
		{"a script that ends", []byte("#!/bin/sh\nexit 7\n"), 0o755, "status 7"},
		{"a script without an interpreter", []byte("#!/does/not/exist\n"), 0o755, "no such file"},
		{"a script that hangs", []byte("#!/bin/sh\nexec sleep 1000\n"), 0o755, "not ready within 10s"},
		{"another program", nil, 0o755, "ended with status 1"},
		{"of another protocol", readBinary(t, "other-protocol"), 0o755, "does not speak our protocol"},
		{"absent", nil, 0, "no such file"},
		{"a directory", nil, os.ModeDir, "cannot"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := up(t, service(t, "a", "lines", beats))
			a := v.running("a")
			switch {
			case test.name == "another program":
				sleep, err := exec.LookPath("sleep")
				if err != nil {
					t.Fatal(err)
				}
				if test.program, err = os.ReadFile(sleep); err != nil {
					t.Fatal(err)
				}
				v.replace(test.program, test.mode)
			case test.name == "absent":
				if err := os.Remove(v.path); err != nil {
					t.Fatal(err)
				}
			case test.mode == os.ModeDir:
				if err := os.Remove(v.path); err != nil {
					t.Fatal(err)
				}
				if err := os.Mkdir(v.path, 0o755); err != nil {
					t.Fatal(err)
				}
			default:
				v.replace(test.program, test.mode)
			}
			v.refused(test.why)
			if s := v.running("a"); s.PID != a.PID || s.Restarts != 0 || s.Instance != 1 {
				t.Errorf("the service is %+v, was %+v", s, a)
			}
			v.crash() // of the version that still runs
			v.became("0.1.0", "0.1.0")
			if test.mode == os.ModeDir {
				if err := os.Remove(v.path); err != nil {
					t.Fatal(err)
				}
			}
			v.install("two")
			v.done()
			v.became("0.2.0", "0.1.0")
		})
	}
}

// TestUpgradeToScript that becomes vigil.
func TestUpgradeToScript(t *testing.T) {
	v := up(t, service(t, "a", "lines", ""))
	a := v.running("a")
	v.replace([]byte("#!/bin/sh\nexec "+filepath.Join(bin, "two")+" \"$@\"\n"), 0o755)
	v.done()
	v.became("0.2.0", "0.1.0")
	v.crash()
	v.became("0.2.0", "0.2.0")
	if s := v.running("a"); s.PID != a.PID {
		t.Errorf("the service is %+v, was %+v", s, a)
	}
}

// TestUpgradeToCrashing: a version that gets as far as to be in charge, and then
// crashes each time, is withdrawn together with its configuration.
func TestUpgradeToCrashing(t *testing.T) {
	old := service(t, "a", "lines", beats)
	v := up(t, old)
	a := v.running("a")
	v.install("crashing")
	v.configure(old + service(t, "b", "lines", ""))
	if err := v.cmd.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	said := v.reloads(func(said []string) bool { return len(said) > 0 && strings.Contains(said[len(said)-1], "withdrawn") })
	if !strings.Contains(said[len(said)-1], "version 0.3.0 crashed 3 times") {
		t.Errorf("%q", said)
	}
	v.became("0.1.0", "0.1.0")
	s := v.service("a", "any", func(control.Service) bool { return true })
	if s.PID != a.PID || s.Restarts != 0 || v.names() != "a" {
		t.Errorf("the service is %+v, was %+v; services %s", s, a, v.names())
	}
}
