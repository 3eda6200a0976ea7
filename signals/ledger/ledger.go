package ledger

import (
	"errors"
	"sync"
	"time"

	"github.com/vigil-supervisor/vigil/signals"
)

// DefaultEntries is how many entries are kept in memory.
const DefaultEntries = 1024

// writeGap is the least time between two lines of an entry that has no outcome.
const writeGap = time.Second

// closeLimit is how long Close waits for a disk.
const closeLimit = 2 * time.Second

// Stats says how the ledger fares, since Open.
type Stats struct {
	Received    int // deliveries, in entries of their own or merged
	Merged      int // of these, merged with an entry that was there
	Dropped     int // of these, in entries that have left memory or were never there
	BadLines    int // of the files, at Open
	WriteErrors int // failed writes, opens, rotations
	Unwritten   int // states of entries that left memory before they were written
	LastError   string
}

// Ledger is safe for use by many goroutines. No method but Close and Open waits
// for the disk.
type Ledger struct {
	mu    sync.Mutex
	ring  ring
	seq   uint64
	known uint64 // the last seq of the files: up to it nothing is in stats
	stats Stats
	// dirty are entries whose state is not on disk, at most the ring's size.
	dirty   map[uint64]bool
	written map[uint64]time.Duration // pending entries: Boot of the last marking
	reopen  bool
	closed  bool

	wake chan struct{}
	done chan struct{}
	file *file // the writer's alone
}

// unanswered is the outcome of what a former keeper left without one.
const unanswered = "unknown: vigil ended before it was answered"

// FileName is the name of the ledger's file in a state directory.
const FileName = "signals.jsonl"

// Open reads the tail of the file at path and of its predecessor (path with
// ".1"), and goes on with its sequence. The ledger works whatever the file does:
// an error says only that nothing is kept on disk for now; it is tried again
// with every change.
func Open(path string) (*Ledger, error) { return open(path, DefaultEntries, maxFile) }

func open(path string, entries int, size int64) (*Ledger, error) {
	l := &Ledger{
		ring: ring{limit: entries}, dirty: map[uint64]bool{}, written: map[uint64]time.Duration{},
		wake: make(chan struct{}, 1), done: make(chan struct{}), file: &file{path: path, limit: size},
	}
	loaded, bad, err := load(path, entries)
	for i := range loaded {
		if loaded[i].Outcome == "" {
			loaded[i].Outcome = unanswered
		}
		l.ring.add(&loaded[i])
		l.seq = loaded[i].Seq
	}
	l.known, l.stats.BadLines = l.seq, bad
	if err = errors.Join(err, l.file.open()); err != nil {
		l.fail(err)
	}
	go l.write()
	return l, err
}

// Receive makes an entry of a signal with what it asks for; target is the
// service concerned, empty for vigil itself. A demand of None is given its
// outcome by the caller like any other.
func (l *Ledger) Receive(r signals.Record, d signals.Demand, target string) (seq uint64) {
	r = sound(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	l.stats.Received += r.Count
	e := newEntry(l.seq, r, d, target)
	if gone := l.ring.add(&e); gone != nil {
		l.forget(gone)
	}
	l.written[e.Seq] = r.Boot
	l.mark(e.Seq)
	return e.Seq
}

func (l *Ledger) forget(e *Entry) {
	if e.Seq > l.known {
		l.stats.Dropped += e.Count
	}
	if l.dirty[e.Seq] {
		delete(l.dirty, e.Seq)
		l.stats.Unwritten++
	}
	delete(l.written, e.Seq)
}

// Merge counts a signal in an entry. It reports false when that has left memory,
// or is a former keeper's; the delivery is then in Stats alone.
func (l *Ledger) Merge(seq uint64, r signals.Record) bool {
	r = sound(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Received += r.Count
	l.stats.Merged += r.Count
	e := l.ring.find(seq)
	if e == nil || seq <= l.known {
		l.stats.Dropped += r.Count
		return false
	}
	e.add(r)
	if e.Outcome != "" || r.Boot-l.written[seq] >= writeGap {
		if e.Outcome == "" {
			l.written[seq] = r.Boot
		}
		l.mark(seq)
	}
	return true
}

// Outcome says what came of an entry; a later one replaces it. It reports false
// when the entry has left memory.
func (l *Ledger) Outcome(seq uint64, text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.ring.find(seq)
	if e == nil {
		return false
	}
	e.Outcome = shorten(text, maxText)
	delete(l.written, seq)
	l.mark(seq)
	return true
}

// Entries returns copies of at most limit entries with a seq above since, oldest
// first; a limit of 0 is none.
func (l *Ledger) Entries(since uint64, limit int) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.ring.entries[l.ring.after(since):]
	if limit > 0 && limit < len(list) {
		list = list[:limit]
	}
	copies := make([]Entry, 0, len(list))
	for _, e := range list {
		copies = append(copies, e.clone())
	}
	return copies
}

// Last returns the seq of the newest entry, 0 when there never was one.
func (l *Ledger) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seq
}

// Stats returns the figures until now.
func (l *Ledger) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Reopen opens the file anew, soon: it may have been renamed.
func (l *Ledger) Reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reopen = true
	l.tell()
}

// Close writes what is left; it waits for a disk that hangs no longer than 2 s.
// The ledger goes on in memory.
func (l *Ledger) Close() error {
	l.mu.Lock()
	l.closed = true
	l.tell()
	l.mu.Unlock()
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-l.done:
		return nil
	case <-limit.C:
		return errors.New("cannot close the ledger: the disk does not answer")
	}
}

// sound bounds what comes from outside, so that no sum is wrong and no line too
// long.
func sound(r signals.Record) signals.Record {
	r.Count = min(max(r.Count, 1), 1<<40)
	r.Unnamed = min(max(r.Unnamed, 0), r.Count)
	r.Sender.Command = shorten(r.Sender.Command, maxCommand)
	r.Sender.ParentCommand = shorten(r.Sender.ParentCommand, maxCommand)
	return r
}

func (l *Ledger) mark(seq uint64) {
	l.dirty[seq] = true
	l.tell()
}

func (l *Ledger) tell() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Ledger) fail(err error) {
	l.stats.WriteErrors++
	l.stats.LastError = shorten(err.Error(), maxText)
}
