package golang

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// chunk is how many goroutines are listed at a time, so that the context is
// looked at and memory stays small.
const chunk = 2000

// goroutines lists, unwinds and groups.
func (r *reading) goroutines(ctx context.Context) {
	l, err := r.newListing(ctx)
	if errors.Is(err, errForeign) {
		r.lack("goroutines cannot be listed: %v", err)
		return
	}
	if err != nil || r.opt.delveOnly {
		r.unusual(ctx)
		return
	}
	l.run(ctx)
	l.close()
}

// unusual lists by Delve alone, at its price, when the runtime of this version
// of Go is not as expected.
func (r *reading) unusual(ctx context.Context) {
	total := r.total()
	for start := 0; start >= 0 && r.out.Unwound < r.opt.MaxGoroutines; {
		list, next, err := proc.GoroutinesInfo(r.target, start, min(chunk, r.opt.MaxGoroutines-r.out.Unwound))
		if err != nil {
			r.unlisted(err)
			return
		}
		for _, g := range list {
			if ctx.Err() != nil {
				r.out.Total = max(total, r.out.Total)
				r.lack("the time was up after %d goroutines; there were up to %d", r.out.Unwound, total)
				return
			}
			if statusName(g.Status) == "" {
				continue // dead: kept for the next go statement
			}
			r.out.Total++
			r.add(g)
		}
		start = next
		if next >= 0 && r.out.Unwound >= r.opt.MaxGoroutines {
			r.out.Total = max(total, r.out.Total)
			r.lack("only the first %d goroutines were read; there were up to %d", r.out.Unwound, total)
		}
	}
}

// unlisted says why there are no goroutines.
func (r *reading) unlisted(err error) {
	if stripped(err) {
		r.lack("the executable has no debug information (built with -ldflags=-s or -w): goroutines cannot be listed, stacks are those of the operating system's threads; give the unstripped executable of the same build with --exe")
		return
	}
	r.lack("cannot list goroutines: %v", err)
}

// total is the length of runtime.allgs, dead goroutines included.
func (r *reading) total() int {
	n := 0
	r.safely("the number of goroutines", func() {
		if v, err := r.eval("runtime.allgs"); err == nil {
			n = int(v.Len)
		}
	})
	return n
}

// add unwinds one goroutine and puts it into its group.
func (r *reading) add(g *proc.G) {
	defer func() {
		if p := recover(); p != nil {
			r.fail(fmt.Errorf("delve panicked: %.200s", fmt.Sprint(p)))
		}
	}()
	if g.Unreadable != nil {
		r.fail(g.Unreadable)
		return
	}
	frames, err := r.stacktrace(g)
	if err != nil {
		r.fail(err)
		return
	}
	r.out.Unwound++
	status, reason := r.status(g.Status, uint64(g.WaitReason))
	key := groupKey(status, reason, g.GoPC, addresses(frames))
	s := r.groups[key]
	if s == nil {
		if len(r.order) >= r.opt.MaxGroups {
			r.lost++
			return
		}
		s = r.newSample(g, frames, status, reason)
		r.groups[key] = s
		r.order = append(r.order, s)
	}
	s.Count++
	if len(s.IDs) < snapshot.MaxIDs {
		s.IDs = append(s.IDs, g.ID)
	}
}

func (r *reading) fail(err error) {
	r.bad++
	if r.firstG == nil {
		r.firstG = err
	}
}

// stacktrace unwinds one goroutine. Only one that is on a thread can have its
// top on another stack: in the kernel of the runtime, or in a handler of a signal.
// Without options Delve caches every stack, which is too much for all.
func (r *reading) stacktrace(g *proc.G) ([]proc.Stackframe, error) {
	if g.Thread != nil {
		return proc.GoroutineStacktrace(r.target, g, r.opt.Depth, 0)
	}
	return proc.GoroutineStacktrace(r.target, g, r.opt.Depth, proc.StacktraceSimple)
}

func groupKey(status, reason string, gopc uint64, pcs []uint64) string {
	key := make([]byte, 0, len(status)+len(reason)+2+8*(len(pcs)+1))
	key = append(append(append(append(key, status...), 0), reason...), 0)
	key = binary.LittleEndian.AppendUint64(key, gopc)
	for _, pc := range pcs {
		key = binary.LittleEndian.AppendUint64(key, pc)
	}
	return string(key)
}

func (r *reading) newSample(g *proc.G, frames []proc.Stackframe, status, reason string) *sample {
	s := &sample{g: g, frames: frames}
	s.Status, s.WaitReason, s.Sample = status, reason, g.ID
	s.System = g.System(r.target)
	if loc := g.Go(); loc.Fn != nil {
		p := placeOf(loc)
		s.CreatedBy = &p
	}
	if loc := g.StartLoc(r.target); loc.Fn != nil {
		p := placeOf(loc)
		s.Start = &p
	}
	s.Frames, s.Cut = convert(frames, r.opt.Depth)
	for name, value := range g.Labels() {
		s.Labels = append(s.Labels, labelText(name, value))
	}
	slices.Sort(s.Labels)
	return s
}

// convert makes frames of ours; a frame beyond depth says that there are more.
func convert(frames []proc.Stackframe, depth int) (list []snapshot.Frame, cut bool) {
	if len(frames) > depth {
		frames, cut = frames[:depth], true
	}
	for _, f := range frames {
		if f.Err != nil || f.Current.PC == 0 {
			break
		}
		list = append(list, snapshot.Frame{Place: placeOf(f.Call), PC: f.Current.PC, Inlined: f.Inlined})
	}
	return list, cut
}

func placeOf(loc proc.Location) snapshot.Place {
	p := snapshot.Place{Function: "?", File: loc.File, Line: loc.Line}
	if loc.Fn != nil {
		p.Function = loc.Fn.Name
	}
	return p
}

// scanning is the bit _Gscan of a status, runtime/runtime2.go.
const scanning = 0x1000

// statusName names the states of a goroutine, runtime/runtime2.go of Go 1.26;
// "" is a goroutine that is dead: 6, or 11 (since Go 1.26) that belongs to a
// spare thread for callbacks of C.
func statusName(status uint64) string {
	switch status &^ scanning {
	case proc.Gidle:
		return "idle"
	case proc.Grunnable:
		return "runnable"
	case proc.Grunning:
		return "running"
	case proc.Gsyscall:
		return "syscall"
	case proc.Gwaiting:
		return "waiting"
	case proc.Gdead, 11:
		return ""
	case proc.Gcopystack:
		return "copystack"
	case 9: // since Go 1.14
		return "preempted"
	case 10: // since Go 1.26: the collector found that nothing can wake it
		return "leaked"
	}
	return fmt.Sprintf("status %d", status)
}

// status names the state of a goroutine, and why it waits. A leaked one waits
// as well, for good.
func (r *reading) status(status, reason uint64) (name, why string) {
	name = statusName(status)
	if name == "waiting" || name == "leaked" {
		why = r.waitReason(reason)
	}
	return name, why
}

// threads reads the stacks of the operating system's threads.
func (r *reading) threads(ctx context.Context) {
	list := r.target.ThreadList()
	slices.SortFunc(list, func(a, b proc.Thread) int { return a.ThreadID() - b.ThreadID() })
	if len(list) > snapshot.MaxThreads {
		r.lack("%d threads beyond the first %d are not shown", len(list)-snapshot.MaxThreads, snapshot.MaxThreads)
		list = list[:snapshot.MaxThreads]
	}
	for _, th := range list {
		if ctx.Err() != nil {
			r.lack("the time was up: some threads are missing")
			return
		}
		t := snapshot.Thread{TID: th.ThreadID()}
		r.safely(fmt.Sprintf("thread %d", t.TID), func() {
			if g, err := proc.GetG(th); err == nil && g != nil {
				t.Goroutine = g.ID
			}
			if frames, err := proc.ThreadStacktrace(r.target, th, r.opt.Depth); err == nil {
				t.Frames, _ = convert(frames, r.opt.Depth)
			}
		})
		r.out.Threads = append(r.out.Threads, t)
	}
}
