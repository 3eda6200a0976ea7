package jvm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Rungs of this package, in the order in which they are tried.
const (
	RungAttach = "jattach"
	RungJcmd   = "jcmd"
	RungSignal = "sigquit"
	RungJhsdb  = "jhsdb"
)

// Options say which JVM is asked, and how.
type Options struct {
	PID        int
	StartTicks uint64        // of the process, USER_HZ since boot; 0: not checked
	Budget     time.Duration // of everything
	Output     []string      // regular files that its output goes to, for SIGQUIT; what its descriptors 1 and 2 are, is known
	Rungs      []string      // those that may be used; nil: all
	Lethal     bool          // it is ended afterwards: it may stand still for long
	_          struct{}
}

// Result is what it said.
type Result struct {
	Stacks  *snapshot.Stacks        // nil: there are none
	Report  *snapshot.RuntimeReport // nil: it could not be asked
	Dump    []byte                  // in its own words
	Ran     []snapshot.Ran
	Missing []string
}

// collection is one run.
type collection struct {
	opt    Options
	target *target
	res    Result

	counters    []counter
	countersErr error
	unanswered  bool     // it listens, and says nothing
	notes       []string // on the way that is being tried
}

// Shares of the budget, in percent. Who answers at all does so in less than half
// a second; jhsdb takes some 3 s whatever the target does, and is what is left
// for one that answers nothing.
var rungs = []struct {
	name  string
	share int
	ask   func(*collection, context.Context) ([]byte, error)
}{
	{RungAttach, 20, (*collection).byAttach},
	{RungJcmd, 20, (*collection).byJcmd},
	{RungSignal, 8, (*collection).bySignal},
	{RungJhsdb, 100, (*collection).byJhsdb},
}

// Collect asks a JVM for its threads, its heap and its safepoints. The result
// holds what there was, and in Ran and Missing why there is not more.
func Collect(ctx context.Context, opt Options) Result {
	c := &collection{opt: opt}
	ctx, cancel := context.WithTimeout(ctx, opt.Budget)
	defer cancel()
	var err error
	if c.target, err = openTarget(opt.PID, opt.StartTicks); err != nil {
		c.res.Ran = append(c.res.Ran, snapshot.Ran{Name: "jvm", Result: "failed", Reason: err.Error()})
		c.res.Missing = append(c.res.Missing, "threads of the JVM: it cannot be asked: "+err.Error())
		return c.res
	}
	defer c.target.close()
	c.counters, c.countersErr = c.target.readCounters()
	for _, r := range rungs {
		if opt.Rungs != nil && !slices.Contains(opt.Rungs, r.name) {
			continue
		}
		if c.try(ctx, r.name, time.Duration(r.share)*opt.Budget/100, r.ask) {
			break
		}
	}
	if c.res.Stacks == nil {
		var why []string
		for _, r := range c.res.Ran {
			why = append(why, r.Name+": "+r.Reason)
		}
		c.res.Missing = append(c.res.Missing, "threads of the JVM: "+strings.Join(why, "; "))
	}
	c.report(ctx)
	return c.res
}

// try uses one rung.
func (c *collection) try(ctx context.Context, name string, limit time.Duration, ask func(*collection, context.Context) ([]byte, error)) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := clock.Boot()
	c.notes = nil
	text, err := ask(c, ctx)
	ran := snapshot.Ran{Name: name, Result: "ok", Bytes: int64(len(text))}
	ran.Cost = snapshot.SecondsOf(clock.Boot() - start)
	c.unanswered = c.unanswered || errors.Is(err, errUnanswered)
	d, err := c.understand(text, err)
	if err != nil {
		ran.Result, ran.Reason = "failed", err.Error()
	} else {
		s := stacksOf(d, name)
		s.PID, s.Taken = c.opt.PID, time.Now().UTC()
		s.Notes = append(s.Notes, c.notes...)
		if name == RungJhsdb && c.unanswered {
			s.Notes = append(s.Notes, late(d)...)
		}
		c.res.Stacks, c.res.Dump = s, text
		c.res.Report = &snapshot.RuntimeReport{Schema: snapshot.SchemaVersion, PID: c.opt.PID, Runtime: "jvm", Version: d.version, Heap: linesOf(d.heap), Notes: d.notes}
	}
	c.res.Ran = append(c.res.Ran, ran)
	return err == nil
}

func (c *collection) understand(text []byte, err error) (dump, error) {
	if err != nil {
		return dump{}, err
	}
	d, found := parse(text)
	if !found {
		d, found = parseJhsdb(text)
	}
	if !found {
		return d, fmt.Errorf("there is no thread dump in what it said: %.100q", text)
	}
	if len(text) >= maxAnswer {
		d.cut = true
	}
	return d, nil
}

// late names the threads that run Java code while a JVM answers nothing: it
// waits for them to come to a safepoint.
func late(d dump) (notes []string) {
	for _, t := range d.threads {
		if t.inJava && len(notes) < 16 {
			notes = append(notes, fmt.Sprintf("the JVM answers nothing, and thread %q (%d) runs Java code: should it not come to a safepoint, all others wait for it", t.name, t.number))
		}
	}
	return notes
}

// maxLines bounds each part of a report.
const maxLines = 256

// report asks one that answers for its heap. Its counters can be read whatever
// it does.
func (c *collection) report(ctx context.Context) {
	start := clock.Boot()
	ran := snapshot.Ran{Name: "jvm-report", Result: "ok"}
	if c.res.Report == nil {
		c.res.Report = &snapshot.RuntimeReport{Schema: snapshot.SchemaVersion, PID: c.opt.PID, Runtime: "jvm"}
	}
	r := c.res.Report
	if c.countersErr != nil {
		r.Notes = append(r.Notes, c.countersErr.Error())
	}
	r.Safepoint = safepoints(c.counters)
	switch {
	case c.res.Stacks != nil && c.res.Stacks.Source == RungAttach:
		ctx, cancel := context.WithTimeout(ctx, c.opt.Budget/10)
		defer cancel()
		heap, err := c.target.command(ctx, "GC.heap_info")
		if err != nil {
			ran.Result, ran.Reason = "partial", err.Error()
		}
		r.Heap = linesOf(heap)
	case len(r.Heap) == 0:
		r.Notes = append(r.Notes, "heap: only a JVM that answers by its attach protocol, or SIGQUIT, tells of it")
	}
	ran.Cost = snapshot.SecondsOf(clock.Boot() - start)
	c.res.Ran = append(c.res.Ran, ran)
}

func linesOf(text []byte) (lines []string) {
	for line := range strings.Lines(strings.ToValidUTF8(string(text), "?")) {
		line = strings.TrimSpace(line)
		if line != "" && len(lines) < maxLines {
			lines = append(lines, masked(line[:min(len(line), 512)]))
		}
	}
	return lines
}

func readLimited(path string, limit int64) ([]byte, error) { return limited.ReadFile(path, limit) }

func masked(line string) string {
	shown, _ := snapshot.MaskText(line)
	return shown
}
