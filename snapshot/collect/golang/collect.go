package golang

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-delve/delve/pkg/goversion"
	"github.com/go-delve/delve/pkg/logflags"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/pkg/proc/core"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// Options of an analysis. A zero number means the default beside it.
type Options struct {
	Core string // path of the ELF core
	Exe  string // path of the executable: the same link output, unstripped at best

	// Taken is when the process stood still; the default is when the core was
	// written. It must be of this machine and this boot for waiting times.
	Taken time.Time

	MaxGoroutines  int  // list at most so many: 1048576
	MaxGroups      int  // keep at most so many different stacks: 4096
	VariableGroups int  // groups whose sample's variables are read: 200
	Depth          int  // frames of a stack: 64
	NoVariables    bool // stacks only
	delveOnly      bool // for tests: no listing of our own
	guess          bool // for tests: pointers on stacks count as proof of a deadlock
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *int
		value int
	}{{&o.MaxGoroutines, 1 << 20}, {&o.MaxGroups, 4096}, {&o.VariableGroups, 200}, {&o.Depth, 64}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return o
}

// reading is one analysis of one core.
type reading struct {
	opt     Options
	target  *proc.Target
	mem     *image
	version goversion.GoVersion
	reasons []string // of waiting, as this program's runtime words them
	// nanotime is when the process stood still, CLOCK_MONOTONIC in ns as the
	// runtime has it; 0: not known.
	nanotime int64
	alone    int // running goroutines so far
	out      *snapshot.Stacks
	groups   map[string]*sample
	order    []*sample
	missing  []string
	lost     int // goroutines of stacks beyond MaxGroups
	bad      int // goroutines that could not be read
	firstG   error
}

// sample is a group while it is being made.
type sample struct {
	snapshot.Group
	g      *proc.G // nil: listed by state only
	state  gState
	frames []proc.Stackframe
	// indexes in runtime.allgs of the members, as long as IDs; nil when Delve
	// listed them.
	indexes []int
	// special: its variables are read however many groups there are.
	special bool
}

// Collect reads the core. Notes of the stacks are the limits of such a reading;
// missing is, in sentences, what was cut, failed or refused. When ctx ends, what
// was read until then is returned and missing says so. The error means that the
// core could not be opened at all.
func Collect(ctx context.Context, opt Options) (out snapshot.Stacks, missing []string, err error) {
	opt = opt.withDefaults()
	out = snapshot.Stacks{Schema: snapshot.SchemaVersion, Runtime: "go", Source: "delve", Groups: []snapshot.Group{}}
	// A core is outside data, and Delve was not made to distrust it.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("cannot read core %s: delve panicked: %v", opt.Core, p)
		}
	}()
	if err := logflags.Setup(false, "", ""); err != nil {
		return out, nil, fmt.Errorf("cannot silence delve: %w", err)
	}
	group, err := core.OpenCore(opt.Core, opt.Exe, nil)
	if err != nil {
		return out, nil, fmt.Errorf("cannot open core %s with %s: %w", opt.Core, opt.Exe, err)
	}
	// Detach of a core ends nothing; it closes the files.
	defer func() { _ = group.Detach(false) }()
	r := &reading{opt: opt, target: group.Selected, out: &out, groups: map[string]*sample{}}
	r.version = goversion.ParseProducer(r.target.BinInfo().Producer())
	if r.mem, err = openImage(opt.Core, opt.Exe, r.staticBase()); err != nil {
		return out, nil, err
	}
	defer r.mem.close()
	r.clock()
	r.judgeBinary()
	r.readReasons()
	r.goroutines(ctx)
	r.threads(ctx)
	if ctx.Err() == nil {
		r.safely("the wait-for graph", func() { r.waits(ctx) })
	}
	if ctx.Err() != nil {
		r.lack("the time was up: who waits for whom may be incomplete")
	}
	r.safely("the crash", r.crash)
	r.setApart()
	r.finishGroups(ctx)
	return out, r.missing, nil
}

// judgeBinary notes what this executable cannot give.
func (r *reading) judgeBinary() {
	bi := r.target.BinInfo()
	// An optimised build is marked per function; main.main stands for all.
	r.out.Optimised = true
	for _, fn := range bi.LookupFunc()["main.main"] {
		r.out.Optimised = fn.Optimized()
	}
	if text := unknownVersion(r.version); text != "" {
		r.note("%s", text)
	}
	if r.out.Optimised {
		r.note("optimised build: some variables are unreadable, and values of dead variables can be stale")
	}
}

// safely runs a step that Delve's panics must not end.
func (r *reading) safely(what string, step func()) {
	defer func() {
		if p := recover(); p != nil {
			r.lack("cannot read %s: delve panicked: %.200s", what, fmt.Sprint(p))
		}
	}()
	step()
}

// maxNotes bounds the notes, and what is missing.
const maxNotes = 64

// lack records what should have been read and was not.
func (r *reading) lack(format string, args ...any) {
	if len(r.missing) < maxNotes {
		r.missing = append(r.missing, fmt.Sprintf(format, args...))
	}
}

// note records a limit of the reading, which is nobody's failure.
func (r *reading) note(format string, args ...any) {
	if len(r.out.Notes) < maxNotes {
		r.out.Notes = append(r.out.Notes, fmt.Sprintf(format, args...))
	}
}

// finishGroups orders the groups and reads variables of the first ones.
func (r *reading) finishGroups(ctx context.Context) {
	byID := map[int64]*sample{}
	for _, s := range r.order {
		byID[s.Sample] = s
		r.out.Groups = append(r.out.Groups, s.Group)
	}
	analyze.Rank(r.out.Groups)
	done, all := 0, 0
	for i := range r.out.Groups {
		g := &r.out.Groups[i]
		s := byID[g.Sample]
		if r.opt.NoVariables || g.System && !g.Crashed || s.g == nil {
			continue
		}
		all++
		// What runs, crashed or is in a cycle is few and comes last or first in
		// the order; it always has its variables.
		if ctx.Err() == nil && (done < r.opt.VariableGroups || s.special) {
			done++
			r.safely(fmt.Sprintf("variables of goroutine %d", g.Sample), func() { r.variables(g, s) })
		}
	}
	switch {
	case done == all:
	case ctx.Err() != nil:
		r.lack("the time was up: arguments and locals were read of %d of %d groups", done, all)
	default:
		r.note("arguments and locals are shown for %d of %d groups only", done, all)
	}
	if r.lost > 0 {
		r.lack("%d goroutines have stacks beyond the first %d different ones and are not shown", r.lost, r.opt.MaxGroups)
	}
	if r.bad > 0 {
		r.lack("%d goroutines could not be read, the first because of: %v", r.bad, r.firstG)
	}
}

// stripped reports whether an error of Delve means that there is no DWARF.
func stripped(err error) bool { return strings.Contains(err.Error(), "could not find goroutine array") }
