package spawn

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
)

// TestCgroup: both ways of cloning put the child into its cgroup.
func TestCgroup(t *testing.T) {
	base, err := cgroup.Find()
	if err != nil {
		t.Skipf("needs a writable cgroup v2 hierarchy: %v", err)
	}
	g, err := base.Make(fmt.Sprintf("vigil-spawn-test-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
	}()
	dir, err := g.OpenDir()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dir)
	for name, way := range map[string]func(*launch) error{
		"clone3": func(l *launch) error { return orNil(l.clone3()) },
		"clone":  func(l *launch) error { return orNil(l.clone()) },
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		spec := New("/bin/cat")
		spec.Stdin, spec.Cgroup = int(r.Fd()), dir
		l := prepared(t, &spec, func(*launch) {})
		if err := way(l); err != nil {
			t.Fatal(name, err)
		}
		if e := l.outcome(); e != nil {
			t.Fatal(name, e)
		}
		pids, err := g.Procs()
		if err != nil || !slices.Equal(pids, []int{l.frame.pid}) {
			t.Errorf("%s: members %v, %v; want %d", name, pids, err, l.frame.pid)
		}
		r.Close()
		w.Close()
		wait(t, int(*l.pidfd))
		if err := g.WaitEmpty(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func orNil(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
