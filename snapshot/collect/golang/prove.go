package golang

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// prove finds the goroutines that can never go on, when the stacks make one
// suspect that there is a deadlock which not only locks are in. A pointer on a
// stack is no proof: the producer of an idle pool may be about to get its channel
// out of the heap. So what counts is what a collector of garbage would find: what
// a goroutine waits for cannot be reached from global variables, timers,
// finalizers, and the stacks of all who can go on. Words that only look like
// pointers, and variables that are dead, can hide a deadlock, but make none.
func (g *graph) prove(ctx context.Context, locks []snapshot.Wait) map[int64]bool {
	guesses := g.guesses(locks)
	if !suspected(guesses, g.out.Deadlocks) {
		return nil
	}
	if g.opt.guess {
		g.out.Deadlocks = analyze.Cycles(guesses)
		return nil
	}
	// Variables are of use as well.
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/3)
		defer cancel()
	}
	stuck, err := g.stuck(ctx)
	if err != nil {
		g.note("some goroutines look like a deadlock that not only locks are in; that was not proven: %v", err)
		return nil
	}
	if len(stuck) > 0 {
		g.note("all pointers were followed to find who can never go on, because nobody else can reach what it waits for: %d", len(stuck))
	}
	return stuck
}

var errPart = errors.New("not everybody is known who waits")

// stuck finds who can never go on, see prove.
func (g *graph) stuck(ctx context.Context) (stuck map[int64]bool, err error) {
	// The core is mapped: a bad disk makes a fault of the read.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			stuck, err = nil, fmt.Errorf("cannot follow pointers: %.200s", fmt.Sprint(p))
		}
	}()
	if text := unknownVersion(g.version); text != "" {
		return nil, errors.New(text)
	}
	if !g.sema.whole || len(g.actors) >= maxActors || g.off.waiting == absent || g.off.syscallsp == absent {
		return nil, errPart
	}
	h, err := g.heap()
	if err != nil {
		return nil, err
	}
	v := newView(g.mem)
	defer v.close()
	p := &proof{graph: g, marker: newMarker(h, v)}
	p.hideAll()
	if err := p.roots(); err != nil {
		return nil, err
	}
	return p.spread(ctx)
}

// proof is a search for those who can go on.
type proof struct {
	*graph
	*marker
	tops     []uint64 // stack pointers of threads
	machines int      // of the runtime, that were looked at
}

// hideAll hides what leads to everybody: the runtime keeps a list of all
// goroutines, and of all that wait.
func (p *proof) hideAll() {
	for i := range p.actors {
		a := &p.actors[i]
		p.hide(a.addr)
		n := 0
		for s := p.word(a.addr + p.off.waiting); s != 0 && n < maxCases; s = p.word(s + p.off.waitlink) {
			p.hide(s)
			n++
		}
	}
	for _, s := range p.sema.sudogs {
		p.hide(s)
	}
}

// spread follows pointers from those who can go on until nobody is added.
func (p *proof) spread(ctx context.Context) (map[int64]bool, error) {
	var pending []*actor
	for i := range p.actors {
		a := &p.actors[i]
		if a.known && p.onHeap(a) {
			pending = append(pending, a)
		} else if err := p.alive(a); err != nil {
			return nil, err
		}
	}
	for before := -1; before != len(pending); {
		if err := p.drain(ctx); err != nil {
			return nil, err
		}
		before = len(pending)
		rest := pending[:0]
		for _, a := range pending {
			if !p.awake(a) {
				rest = append(rest, a)
			} else if err := p.alive(a); err != nil {
				return nil, err
			}
		}
		pending = rest
	}
	stuck := make(map[int64]bool, len(pending))
	for _, a := range pending {
		stuck[a.id] = true
	}
	return stuck, nil
}

// onHeap reports whether all that a goroutine waits for is on the heap: a global
// lock or group is within everybody's reach.
func (p *proof) onHeap(a *actor) bool {
	for _, w := range a.wants {
		if _, object := p.reached(w.address); !object {
			return false
		}
	}
	return true
}

// awake reports whether somebody who can go on can reach what a goroutine wants.
func (p *proof) awake(a *actor) bool {
	for _, w := range a.wants {
		if marked, _ := p.reached(w.address); marked {
			return true
		}
	}
	return false
}
