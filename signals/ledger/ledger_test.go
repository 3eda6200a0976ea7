package ledger

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/vigil-supervisor/vigil/signals"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// from is a HUP of a process, at a time after the epoch.
func from(pid, count, unnamed int, at time.Duration) signals.Record {
	s := signals.Sender{PID: pid, UID: 1000, Command: "logrotate", Parent: 7, ParentCommand: "cron"}
	if unnamed == count {
		s = signals.Unknown
	}
	return signals.Record{Signal: syscall.SIGHUP, Sender: s, Boot: at, Wall: epoch.Add(at), Count: count, Unnamed: unnamed}
}

func mustOpen(t testing.TB, path string) *Ledger {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, l) })
	return l
}

func mustClose(t testing.TB, l *Ledger) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnEntryGoesOnOverARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signals.jsonl")
	l := mustOpen(t, path)
	a := l.Receive(from(10, 1, 0, 0), signals.Reload, "")
	for pid := 10; pid < 22; pid++ {
		l.Merge(a, from(pid, 2, 0, time.Millisecond))
	}
	l.Merge(a, from(0, 5, 5, 2*time.Millisecond))
	l.Outcome(a, "reload done: supervisor 12 -> 13")
	b := l.Receive(from(10, 1, 0, time.Second), signals.Stop, "db")
	mustClose(t, l)

	again := mustOpen(t, path)
	list := again.Entries(0, 0)
	if len(list) != 2 || list[0].Seq != a || list[1].Seq != b || again.Last() != b {
		t.Fatalf("loaded %+v", list)
	}
	e := list[0]
	if e.Count != 30 || e.bySender() != 3 || len(e.Senders) != maxSenders || e.Others != 5+3*2 || !e.Last.Equal(epoch.Add(2*time.Millisecond)) {
		t.Errorf("entry %+v, %d by the first", e, e.bySender())
	}
	if e.Outcome != "reload done: supervisor 12 -> 13" || list[1].Outcome != unanswered || list[1].Target != "db" {
		t.Errorf("outcomes %q and %q", e.Outcome, list[1].Outcome)
	}
	if c := again.Receive(from(1, 1, 0, 0), signals.Reload, ""); c != b+1 {
		t.Errorf("seq %d after %d", c, b)
	}
	if again.Merge(a, from(1, 1, 0, 0)) || again.Outcome(99, "x") {
		t.Error("an entry that is over, or never was, is changed")
	}
	if got := again.Entries(a, 1); len(got) != 1 || got[0].Seq != b {
		t.Errorf("after %d come %+v", a, got)
	}
	if s := again.Stats(); s.Received != 2 || s.Dropped != 1 || s.WriteErrors != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestTornAndBadLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signals.jsonl")
	l := mustOpen(t, path)
	l.Receive(from(1, 1, 0, 0), signals.Reload, "")
	mustClose(t, l)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := bytes.Join([][]byte{[]byte("nonsense\n\n{}\n"), b, b[:len(b)/2]}, nil)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, path)
	if n := l.Stats().BadLines; n != 3 {
		t.Errorf("%d bad lines", n)
	}
	l.Receive(from(1, 1, 0, 0), signals.Reload, "")
	mustClose(t, l)
	l = mustOpen(t, path)
	if list := l.Entries(0, 0); len(list) != 2 || list[1].Seq != 2 || l.Stats().BadLines != 3 {
		t.Errorf("after a torn line: %+v, %+v", list, l.Stats())
	}
}

// A storm of merged signals over 10 s writes one line a second.
func TestStormIsBoundedOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signals.jsonl")
	l := mustOpen(t, path)
	seq := l.Receive(from(1, 1, 0, 0), signals.Reload, "")
	for i := range 20_000 {
		l.Merge(seq, from(1+i%3, 1, 0, time.Duration(i)*500*time.Microsecond))
	}
	l.Outcome(seq, "done")
	mustClose(t, l)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n < 1 || n > 12 {
		t.Errorf("%d lines", n)
	}
	if e, err := decode(bytes.TrimSpace(b[bytes.LastIndexByte(b[:len(b)-1], '\n')+1:])); err != nil || e.Count != 20_001 || e.Outcome != "done" {
		t.Errorf("the last line is %+v, %v", e, err)
	}
}

func TestFilesAreBounded(t *testing.T) {
	const limit = 16 << 10
	path := filepath.Join(t.TempDir(), "signals.jsonl")
	l, err := open(path, 8, limit)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		l.Outcome(l.Receive(from(1, 1, 0, time.Duration(i)*time.Second), signals.Reload, ""), strings.Repeat("x", 2*maxText))
		if i%100 == 0 {
			l.Reopen()
		}
		for _, name := range []string{path, path + ".1"} {
			if info, err := os.Stat(name); err == nil && info.Size() > limit {
				t.Fatalf("%s has %d bytes", name, info.Size())
			}
		}
	}
	mustClose(t, l)
	if s := l.Stats(); s.WriteErrors != 0 || s.Received != 2000 || s.Dropped != 1992 {
		t.Errorf("stats %+v", s)
	}
	l = mustOpen(t, path)
	if got := l.Entries(0, 0); len(got) == 0 || got[len(got)-1].Seq != 2000 {
		t.Errorf("loaded %d entries", len(got))
	}
}

// What stands in the place of the file is not opened, does not hang, and when it
// is gone everything that is still known is written.
func TestNoFileStopsTheLedger(t *testing.T) {
	for name, put := range map[string]func(string) error{
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"fifo":      func(p string) error { return unix.Mkfifo(p, 0o600) },
		"link":      func(p string) error { return os.Symlink("/dev/full", p) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "signals.jsonl")
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			l, err := Open(path)
			if err == nil || l == nil {
				t.Fatalf("opened: %v, %v", l, err)
			}
			l.Receive(from(1, 1, 0, 0), signals.Reload, "")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			l.Receive(from(2, 1, 0, 0), signals.Reload, "")
			mustClose(t, l)
			if s := l.Stats(); s.WriteErrors == 0 || s.LastError == "" || s.Unwritten != 0 {
				t.Errorf("stats %+v", s)
			}
			if got := mustOpen(t, path).Entries(0, 0); len(got) != 2 {
				t.Errorf("loaded %+v", got)
			}
		})
	}
}

func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "signals.jsonl")
	l := &Ledger{
		ring: ring{limit: 4}, dirty: map[uint64]bool{}, written: map[uint64]time.Duration{},
		wake: make(chan struct{}, 1), done: make(chan struct{}), file: &file{path: path, limit: maxFile, f: full},
	}
	go l.write()
	for range 10 {
		l.Receive(from(1, 1, 0, 0), signals.Reload, "")
	}
	mustClose(t, l)
	if s := l.Stats(); s.WriteErrors == 0 || !strings.Contains(s.LastError, "no space left") || s.Received != 10 {
		t.Errorf("stats %+v", s)
	}
	if got := l.Entries(0, 0); len(got) != 4 {
		t.Errorf("%d entries in memory", len(got))
	}
}

func TestLongestLine(t *testing.T) {
	bad := strings.Repeat("\x01", 4*maxText)
	r := from(1, 1, 0, 0)
	r.Sender.Command, r.Sender.ParentCommand = bad, bad
	e := newEntry(maxNumber, sound(r), signals.Snapshot, bad)
	for pid := range 20 {
		r.Sender.PID = 1<<30 + pid
		e.add(sound(r))
	}
	e.Outcome = shorten(bad, maxText)
	line, err := encode(&e)
	if err != nil || len(line) > maxLine {
		t.Fatalf("%d bytes, %v", len(line), err)
	}
	t.Logf("%d bytes", len(line))
	if _, err := decode(line); err != nil {
		t.Error(err)
	}
}

func TestManyAtOnce(t *testing.T) {
	l := mustOpen(t, filepath.Join(t.TempDir(), "signals.jsonl"))
	var all sync.WaitGroup
	for pid := 1; pid <= 4; pid++ {
		all.Go(func() {
			for range 500 {
				seq := l.Receive(from(pid, 1, 0, 0), signals.Reload, "")
				l.Merge(seq, from(pid+1, 1, 0, time.Minute))
				l.Outcome(seq, "done")
				l.Reopen()
				for _, e := range l.Entries(seq, 3) {
					if e.bySender() < 1 {
						t.Errorf("entry %+v", e)
					}
				}
			}
		})
	}
	all.Wait()
	if s := l.Stats(); s.Received != 4000 || s.Merged != 2000 {
		t.Errorf("stats %+v", s)
	}
}

// Whatever happens, every delivery is in one entry or in Dropped; and what was
// closed is what is opened.
func TestCountsAddUp(t *testing.T) {
	root := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		path := filepath.Join(root, fmt.Sprint(runs))
		l, err := open(path, 5, maxFile)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for i, step := range rapid.SliceOfN(rapid.IntRange(0, 9), 0, 60).Draw(t, "steps") {
			count := rapid.IntRange(1, 20).Draw(t, "count")
			r := from(rapid.IntRange(1, 12).Draw(t, "pid"), count, rapid.IntRange(0, count).Draw(t, "unnamed"), time.Duration(i)*300*time.Millisecond)
			seq := l.Last() - min(l.Last(), uint64(rapid.IntRange(0, 7).Draw(t, "back")))
			switch {
			case step < 3:
				total += count
				l.Receive(r, signals.Reload, "")
			case step < 8:
				total += count
				l.Merge(seq, r)
			default:
				l.Outcome(seq, "done")
			}
			sum := l.Stats().Dropped
			for _, e := range l.Entries(0, 0) {
				sum += e.Count
				if err := e.check(); err != nil {
					t.Fatal(err)
				}
			}
			if s := l.Stats(); sum != total || s.Received != total || len(l.Entries(0, 0)) > 5 {
				t.Fatalf("%d in entries and dropped, %d received: %+v", sum, total, s)
			}
		}
		before := l.Entries(0, 0)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		after, bad, err := load(path, 1000)
		if bad != 0 || err != nil || l.Stats().WriteErrors != 0 {
			t.Fatalf("%d bad lines, %v, %+v", bad, err, l.Stats())
		}
		byID := map[uint64]Entry{}
		for _, e := range after {
			byID[e.Seq] = e
		}
		for _, e := range before {
			if got := byID[e.Seq]; e.Outcome != "" && fmt.Sprint(got) != fmt.Sprint(e) {
				t.Fatalf("written %+v\nread    %+v", e, got)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	e := newEntry(1, from(1, 3, 1, 0), signals.Reload, "db")
	e.add(from(2, 1, 0, 0))
	line, err := encode(&e)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(line), "", "{}", "null", `{"seq":18446744073709551615}`, string(line[:40]), `{"seq":1,"signal":"HUP","count":1,"others":-1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decode(b)
		if err != nil {
			return
		}
		again, err := encode(&e)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > maxLine {
			t.Fatalf("a line of %d bytes", len(again))
		}
		if _, err := decode(again); err != nil {
			t.Errorf("%q is written as %q: %v", b, again, err)
		}
	})
}
