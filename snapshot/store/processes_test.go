package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// roleEnv says what a child of a test does with the store of childEnv.
const roleEnv = "VIGIL_TEST_STORE_ROLE"

var roles = map[string]func(dir string){"write": writeSome, "prune": pruneUntilEOF, "hold": holdUntilEOF, "read": readUntilEOF, "take": takeUntilEOF}

// writtenByOne is how many incidents a writer makes, each with a large file.
const writtenByOne = 15

func writeSome(dir string) {
	s := openOrFail(dir)
	for n := range writtenByOne {
		w, err := s.Begin(Subject{Service: "web", Instance: uint64(n), PID: os.Getpid(), Cause: snapshot.CauseHang}, time.Now())
		if err == nil {
			err = errors.Join(writeEvidence(w, 100), w.WriteFile(snapshot.FileDump, make([]byte, 128<<10)), w.Pending())
		}
		if err == nil {
			_, err = w.Complete(snapshot.Incident{Fingerprint: fmt.Sprint("v1:", n%3)})
		}
		if err != nil {
			fail(err)
		}
		fmt.Println(w.ID())
	}
}

// pruneUntilEOF prunes again and again, and prints what it removed.
func pruneUntilEOF(dir string) {
	s := openOrFail(dir)
	untilEOF(func() {
		removed, problems, err := s.Prune(Policy{MaxBytes: 1 << 20, MaxPerFingerprint: 5}, time.Now())
		if err != nil {
			fail(err)
		}
		for _, p := range problems {
			if !strings.HasPrefix(p, "nothing more may be removed") {
				fail(errors.New(p))
			}
		}
		for _, r := range removed {
			fmt.Println(r.ID + "/" + r.Part)
		}
	})
}

// readUntilEOF lists and loads; whatever others do, each incident is whole.
func readUntilEOF(dir string) {
	s, err := OpenRead(dir)
	if err != nil {
		fail(err)
	}
	untilEOF(func() {
		incidents, problems, err := s.List(Filter{})
		if err != nil || len(problems) > 0 {
			fail(fmt.Errorf("%w %q", err, problems))
		}
		for _, i := range incidents {
			if i.Status != snapshot.StatusComplete {
				continue
			}
			full, err := s.Load(i.ID)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err == nil {
				err = wholeOrTold(full)
			}
			if err != nil {
				fail(err)
			}
		}
	})
}

func wholeOrTold(full Full) error {
	if len(full.Problems) != len(full.Incident.Removed) {
		return fmt.Errorf("incident %s: %q", full.Incident.ID, full.Problems)
	}
	return nil
}

// holdUntilEOF holds the lock.
func holdUntilEOF(dir string) {
	s := openOrFail(dir)
	if _, err := s.lock(time.Minute); err != nil {
		fail(err)
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// takeUntilEOF takes one incident for as long as its input lasts.
func takeUntilEOF(dir string) {
	w, err := openOrFail(dir).Begin(Subject{Service: "stray"}, time.Now())
	if err == nil {
		err = w.Hold()
	}
	if err != nil {
		fail(err)
	}
	fmt.Println(w.ID())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if _, err := w.Complete(snapshot.Incident{Sentence: "It is asked for."}); err != nil {
		fail(err)
	}
}

func openOrFail(dir string) *Store {
	s, err := Open(dir)
	if err != nil {
		fail(err)
	}
	return s
}

// untilEOF does something again and again until standard input ends, and once more.
func untilEOF(do func()) {
	end := make(chan struct{})
	go func() {
		defer close(end)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	for {
		select {
		case <-end:
			do()
			return
		default:
			do()
		}
	}
}

// child is a process of a test with a role.
type child struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr strings.Builder
}

func start(t *testing.T, role, dir string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childEnv+"="+dir, roleEnv+"="+role, "GORACE=atexit_sleep_ms=0")
	c.cmd.Stderr = &c.stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		c.out = bufio.NewReader(out)
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() }) // it has ended, unless the test failed
	return c
}

// end waits for its end and returns the lines that it printed.
func (c *child) end(t *testing.T) []string {
	t.Helper()
	_ = c.in.Close()
	text, err := io.ReadAll(c.out)
	if err := errors.Join(err, c.cmd.Wait()); err != nil || c.stderr.Len() > 0 {
		t.Errorf("%v: %s", err, c.stderr.String())
	}
	return strings.Fields(string(text))
}

// TestProcessesTogether has several processes write, prune and read one store at
// once. Nothing is removed twice, no reader sees half an incident, and at the end
// the store is whole.
func TestProcessesTogether(t *testing.T) {
	s := openStore(t)
	var prunes, reads, writes []*child
	for range 2 {
		prunes, reads = append(prunes, start(t, "prune", s.Root())), append(reads, start(t, "read", s.Root()))
	}
	for range 3 {
		writes = append(writes, start(t, "write", s.Root()))
	}
	var written, removed []string
	for _, c := range writes {
		// A writer reads nothing, so that the end of its input tells it nothing.
		written = append(written, c.end(t)...)
	}
	for _, c := range prunes {
		removed = append(removed, c.end(t)...)
	}
	for _, c := range reads {
		c.end(t)
	}
	if len(written) != 3*writtenByOne {
		t.Errorf("%d incidents were written", len(written))
	}
	slices.Sort(removed)
	if n := len(removed); n == 0 || len(slices.Compact(slices.Clone(removed))) != n {
		t.Errorf("removed: %q", removed)
	}
	left := list(t, s, Filter{})
	for _, i := range left {
		full, err := s.Load(i.ID)
		if err == nil {
			err = wholeOrTold(full)
		}
		if err != nil {
			t.Error(err)
		}
	}
	whole := 0
	for _, r := range removed {
		if strings.HasSuffix(r, "/") {
			whole++
		}
	}
	if len(left)+whole != len(written) {
		t.Errorf("%d are left of %d, %d were removed", len(left), len(written), whole)
	}
	for _, name := range dirNames(t, s.Root()) {
		if strings.HasPrefix(name, prefixNew) || strings.HasPrefix(name, prefixRemoved) {
			t.Errorf("left behind: %s", name)
		}
	}
}

// TestLock: who waits for another process's prune does so for a bounded time, goes
// on when it ends, and also when it is killed.
func TestLock(t *testing.T) {
	s := openStore(t)
	old := add(t, s, "web", 1, snapshot.Incident{})
	hold := func() *child {
		c := start(t, "hold", s.Root())
		if line, err := c.out.ReadString('\n'); line != "held\n" {
			t.Fatalf("%q, %v", line, err)
		}
		return c
	}
	c := hold()
	if _, err := s.lock(20 * time.Millisecond); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "20ms") {
		t.Errorf("locked twice: %v", err)
	}
	pinned := make(chan error)
	go func() { pinned <- s.SetPinned(old.ID, true) }()
	select {
	case err := <-pinned:
		t.Errorf("pinned beside another's prune: %v", err)
	case <-time.After(2 * lockAgain): // it may be late, not early
	}
	c.end(t)
	if err := <-pinned; err != nil || !s.Pinned(old.ID) {
		t.Errorf("not pinned: %v", err)
	}
	c = hold()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait() // it was killed
	if _, problems, err := s.Prune(Policy{}, at(2)); err != nil || len(problems) > 0 {
		t.Errorf("%q, %v", problems, err)
	}
}

// TestHold: an incident that another process is taking is not recovered, until that
// process is gone.
func TestHold(t *testing.T) {
	s := openStore(t)
	take := func() (*child, string) {
		c := start(t, "take", s.Root())
		line, err := c.out.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return c, strings.TrimSpace(line)
	}
	c, id := take()
	if found, err := s.Recover(); err != nil || len(found) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := s.Resume(id); !errors.Is(err, ErrBusy) {
		t.Errorf("resumed beside its writer: %v", err)
	}
	c.end(t)
	if i := list(t, s, Filter{})[0]; i.ID != id || i.Status != snapshot.StatusComplete {
		t.Errorf("%+v", i)
	}
	c, id = take()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait() // it was killed
	found, err := s.Recover()
	if err != nil || len(found) != 1 || found[0].ID != id {
		t.Fatalf("%+v, %v", found, err)
	}
	w, err := s.Resume(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Abandon("Its writer was killed."); err != nil {
		t.Error(err)
	}
}

// TestPinBetweenPlanAndAct: what is pinned after the plan was made stays.
func TestPinBetweenPlanAndAct(t *testing.T) {
	s := openStore(t)
	old := add(t, s, "web", 1, snapshot.Incident{})
	if err := os.WriteFile(filepath.Join(s.Root(), old.ID, filePinned), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.do(Removal{ID: old.ID}, at(2)); !errors.Is(err, errPinned) {
		t.Errorf("%v", err)
	}
}
