package golang

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/go-delve/delve/pkg/proc"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of a listing.
const (
	maxAllgs   = 1 << 26 // a longer runtime.allgs is no such thing
	lookAtTime = 512     // goroutines between two looks at the clock
	maxAlone   = 64      // running goroutines that get a group of their own
)

// listing reads all goroutines out of an image. Delve unwinds one goroutine of
// each chain of return addresses; the others of the chain are only counted.
type listing struct {
	*reading
	fields   fields
	exit     uint64 // the return address at the end of every goroutine's stack
	base     uint64 // of runtime.allgs
	count    int
	until    time.Time // when to stop unwinding; zero: never
	threads  map[int64]bool
	labels   map[uint64][]string
	pcs      []uint64
	g, stack []byte
	coarse   int // goroutines that are listed by state only
	late     bool
}

// errForeign is a core of another program than the executable's.
var errForeign = errors.New("the executable does not belong to the core")

// newListing finds what a listing needs. Its error means that Delve's own way
// has to do.
func (r *reading) newListing(ctx context.Context) (l *listing, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("delve panicked: %.200s", fmt.Sprint(p))
		}
	}()
	l = &listing{reading: r, labels: map[uint64][]string{}, threads: map[int64]bool{}, stack: make([]byte, maxChain)}
	if l.fields, err = r.gFields(); err != nil {
		return nil, err
	}
	l.g = make([]byte, l.fields.size)
	fns := r.target.BinInfo().LookupFunc()["runtime.goexit"]
	if len(fns) == 0 {
		return nil, fmt.Errorf("cannot find runtime.goexit")
	}
	l.exit = fns[0].Entry + quantum
	all, err := r.eval("runtime.allgs")
	if err != nil {
		return nil, fmt.Errorf("cannot find runtime.allgs: %w", err)
	}
	if all.Len < 0 || all.Len > maxAllgs {
		return nil, fmt.Errorf("%w: runtime.allgs has %d entries", errForeign, all.Len)
	}
	l.base, l.count = all.Base, int(all.Len)
	// What is left of the time after half of it is for variables and locks.
	if end, ok := ctx.Deadline(); ok {
		l.until = time.Now().Add(time.Until(end) / 2)
	}
	for _, th := range r.target.ThreadList() {
		if g, err := proc.GetG(th); err == nil && g != nil {
			l.threads[g.ID] = true
		}
	}
	return l, nil
}

// run lists all goroutines, at most MaxGoroutines of those that live.
func (l *listing) run(ctx context.Context) {
	var pointers [lookAtTime * 8]byte
	for start := 0; start < l.count; start += lookAtTime {
		if ctx.Err() != nil {
			l.lack("the time was up after %d goroutines; there were up to %d", l.out.Total, l.count)
			l.out.Total = l.count
			return
		}
		n := min(lookAtTime, l.count-start)
		if err := l.mem.read(pointers[:n*8], l.base+uint64(start)*8); err != nil {
			l.lack("goroutines %d to %d of runtime.allgs cannot be read: %v", start, start+n-1, err)
			continue
		}
		l.late = !l.until.IsZero() && time.Now().After(l.until)
		for i := range n {
			if l.out.Total >= l.opt.MaxGoroutines {
				l.lack("only the first %d goroutines were read; there were up to %d", l.out.Total, l.count)
				l.out.Total = l.count
				return
			}
			g, err := l.mem.state(&l.fields, start+i, binary.LittleEndian.Uint64(pointers[i*8:]), l.g)
			switch {
			case err != nil:
				l.out.Total++
				l.fail(err)
			case statusName(g.status) != "": // else dead: kept for the next go statement
				l.out.Total++
				l.add(g)
			}
		}
	}
}

// add puts one goroutine into its group.
func (l *listing) add(g gState) {
	status, reason := l.reading.status(g.status, uint64(g.reason))
	key, believed := l.identity(g, status, reason)
	if s := l.groups[key]; s != nil && believed {
		l.out.Unwound++
		l.join(s, g)
		return
	}
	if l.late || len(l.order) >= l.opt.MaxGroups {
		l.listOnly(g, status, reason)
		return
	}
	s, err := l.unwind(g, status, reason)
	if err != nil {
		l.fail(err)
		return
	}
	l.out.Unwound++
	if !believed {
		// Delve knows better than a chain that breaks off, as in a callback of C.
		key = groupKey(status, reason, g.gopc, addresses(s.frames))
		if known := l.groups[key]; known != nil {
			l.join(known, g)
			return
		}
	}
	l.groups[key] = s
	l.order = append(l.order, s)
	l.join(s, g)
}

// identity is the key of the group that a goroutine belongs to. What runs is
// always alone, since its variables are of interest; a believed key can be that
// of an earlier goroutine.
func (l *listing) identity(g gState, status, reason string) (key string, believed bool) {
	if status == "running" || l.threads[g.id] && status != "syscall" {
		if l.alone++; l.alone <= maxAlone {
			return fmt.Sprintf("alone %d", g.id), true
		}
		return "", false
	}
	l.pcs, believed = l.mem.chain(g, l.exit, l.opt.Depth, l.pcs[:0], l.stack)
	return groupKey(status, reason, g.gopc, l.pcs), believed
}

// unwind makes the sample of a group.
func (l *listing) unwind(g gState, status, reason string) (*sample, error) {
	s, err := l.sampleAt(g.index, g.id, status, reason)
	if err == nil {
		s.state, s.special = g, status == "running"
	}
	return s, err
}

// sampleAt has Delve read the goroutine at an index of runtime.allgs.
func (r *reading) sampleAt(index int, id int64, status, reason string) (s *sample, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("delve panicked: %.200s", fmt.Sprint(p))
		}
	}()
	list, _, err := proc.GoroutinesInfo(r.target, index, 1)
	switch {
	case err != nil:
		return nil, err
	case len(list) != 1:
		return nil, fmt.Errorf("cannot read goroutine %d: delve does not list it", id)
	case list[0].Unreadable != nil:
		return nil, list[0].Unreadable
	case list[0].ID != id:
		return nil, fmt.Errorf("cannot read goroutine %d: delve takes it for %d", id, list[0].ID)
	}
	frames, err := r.stacktrace(list[0])
	if err != nil {
		return nil, err
	}
	return r.newSample(list[0], frames, status, reason), nil
}

// join counts a goroutine as a member of a group.
func (l *listing) join(s *sample, g gState) {
	s.Count++
	if len(s.IDs) < snapshot.MaxIDs {
		s.IDs, s.indexes = append(s.IDs, g.id), append(s.indexes, g.index)
	}
	m := snapshot.Member{ID: g.id, Labels: l.labelsOf(g)}
	if d := l.waited(g); d > 0 {
		m.Waiting = snapshot.SecondsOf(d)
		if s.WaitMin == 0 || m.Waiting < s.WaitMin {
			s.WaitMin = m.Waiting
		}
		s.WaitMax = max(s.WaitMax, m.Waiting)
	}
	if len(s.Labels) == 0 && g.id == s.Sample {
		s.Labels = m.Labels
	}
	if (m.Waiting > 0 || len(m.Labels) > 0) && len(s.Members) < snapshot.MaxIDs {
		s.Members = append(s.Members, m)
	}
}

// listOnly puts a goroutine into a group of those of which only the state is
// known.
func (l *listing) listOnly(g gState, status, reason string) {
	l.coarse++
	key := "only " + status + " " + reason
	s := l.groups[key]
	if s == nil {
		s = &sample{}
		s.Status, s.WaitReason, s.Sample, s.Frames, s.Cut = status, reason, g.id, []snapshot.Frame{}, true
		l.groups[key] = s
		l.order = append(l.order, s)
	}
	l.join(s, g)
}

// close says what was sampled.
func (l *listing) close() {
	if l.coarse > 0 {
		why := fmt.Sprintf("there are more than %d different stacks", l.opt.MaxGroups)
		if l.late {
			why = "the time for unwinding was up"
		}
		l.lack("%d of %d goroutines were unwound; the others are listed by state only: %s", l.out.Unwound, l.out.Total, why)
	}
}

func addresses(frames []proc.Stackframe) []uint64 {
	var pcs []uint64
	for _, f := range frames {
		pcs = append(pcs, f.Current.PC)
	}
	return pcs
}

// waited is how long a goroutine has been blocked, 0 when that is not known:
// before a collection of garbage has looked at it, the runtime does not know.
func (r *reading) waited(g gState) time.Duration {
	if status := g.status &^ scanning; g.since <= 0 || r.nanotime <= 0 || status != proc.Gwaiting && status != 10 {
		return 0
	}
	return max(0, time.Duration(r.nanotime-g.since)).Truncate(time.Millisecond)
}
