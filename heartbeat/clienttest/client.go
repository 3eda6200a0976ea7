package clienttest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// Need returns the path of a program, or skips the test and says which Debian
// package has it.
func Need(t *testing.T, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("no %s: install the Debian package %s", program, debian)
	}
	return path
}

// Sources looks at all directories below root. What a test compiles by another
// program is not known to go test, which takes a remembered result only while all
// that the test itself has looked at is the same.
func Sources(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && (d.Name()[0] == '.' || d.Name() == "bin") {
			return fs.SkipDir
		}
		return nil // another test's files come and go
	})
	if err != nil {
		t.Fatal(err)
	}
}

// NewPage makes a page that is closed at the end of the test.
func NewPage(t *testing.T, slots int) *Page {
	t.Helper()
	p, err := New(slots)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Client is the command line of a program in some language, testdata/client.*,
// that goes once through everything that a client library offers.
type Client []string

// run starts the client with f as descriptor 3, if f is not nil.
func (c Client) run(f *os.File, env ...string) (out string, pid int, err error) {
	cmd := exec.Command(c[0], c[1:]...)
	// What interpreters need to be found, and nothing of vigil's.
	cmd.Env = append(wire.Scrub(os.Environ()), env...)
	if f != nil {
		cmd.ExtraFiles = []*os.File{f}
	}
	b, err := cmd.CombinedOutput()
	if cmd.Process != nil {
		pid = cmd.Process.Pid
	}
	return string(b), pid, err
}

// Check runs the client without vigil, with a page, with the same page again,
// on which all slots are taken by a process that is gone if reclaims is set, and
// with everything that is no page.
func (c Client) Check(t *testing.T, reclaims bool) {
	t.Helper()
	if out, _, err := c.run(nil); err != nil {
		t.Errorf("without vigil: %v\n%s", err, out)
	}
	p := NewPage(t, 3)
	c.checkRun(t, p, 1)
	if reclaims {
		c.checkRun(t, p, 2)
	}
	c.checkRefusals(t)
}

// checkRun compares the page with what the client leaves behind.
func (c Client) checkRun(t *testing.T, p *Page, run uint32) {
	t.Helper()
	out, pid, err := c.run(p.File, wire.HeartbeatFD+"=3")
	var tid uint32
	if _, scanErr := fmt.Sscan(out, &tid); err != nil || scanErr != nil {
		t.Fatalf("%v, %v\n%s", err, scanErr, out)
	}
	taken, err := p.Taken()
	if err != nil || len(taken) != 3 {
		t.Fatalf("%+v, %v", taken, err)
	}
	slices.SortFunc(taken, func(a, b wire.Slot) int { return strings.Compare(a.Name, b.Name) })
	want := []wire.Slot{
		{Name: "0123456789012345678901234567890", State: wire.Stopping, Beats: 3}, // cut before a character of two bytes
		{Name: "first-ä", State: wire.Busy, Beats: 5, Timeout: 2 * time.Second},
		{Name: "fourth", State: wire.Idle, Beats: 1},
	}
	raised := uint32(0) // the one of "third" was claimed twice
	for i, w := range want {
		w.Pulse, w.PID, w.TID, w.Serial = w.Beats<<8|uint64(w.State), uint32(pid), tid, taken[i].Serial
		if taken[i] != w {
			t.Errorf("run %d\n got %+v\nwant %+v", run, taken[i], w)
		}
		raised += w.Serial
	}
	if raised != 4*run {
		t.Errorf("run %d: %d claims counted, want %d", run, raised, 4*run)
	}
}

func (c Client) checkRefusals(t *testing.T) {
	t.Helper()
	list, err := Refusals()
	defer func() { _ = CloseAll(list) }()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		out, _, err := c.run(r.File, wire.HeartbeatFD+"="+r.Value)
		if err == nil || !strings.Contains(out, r.Says) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %v\n%s", r.Name, err, out)
		}
	}
}
