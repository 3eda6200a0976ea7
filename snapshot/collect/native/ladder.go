package native

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// rung is one way to read stacks.
type rung struct {
	name string
	read func(context.Context) (*reading, error)
}

// reading is what one rung read.
type reading struct {
	source  string
	taken   time.Time
	threads []thread
	partial string // why it is not whole, "" when it is
	notes   []string
	dump    []byte
}

// thread is the stack of one thread, innermost first.
type thread struct {
	tid     int
	name    string // where the tool tells it
	frames  []snapshot.Frame
	cut     bool
	crashed bool
}

// errAbsent says that a command is not installed.
var errAbsent = errors.New("not installed")

// ladder tries rungs until one read everything.
type ladder struct {
	rungs  []rung
	after  func() []string // puts the target right; sentences about what it did
	result Result
	notes  []string
}

// climb returns the first whole reading, else the one of most threads; nil: none.
func (l *ladder) climb(ctx context.Context) *reading {
	var best *reading
	for i, r := range l.rungs {
		if i > 0 && ctx.Err() != nil {
			l.ran(r.name, "skipped", 0, "the time was up")
			continue
		}
		got := l.try(ctx, r, share(ctx, i, len(l.rungs)))
		if got == nil {
			continue
		}
		if best == nil || len(got.threads) > len(best.threads) {
			best = got
		}
		if got.partial == "" {
			break
		}
	}
	return best
}

// share is the time of rung i of n: half of what is left, so that the next has a
// chance when this one hangs; the last gets all.
func share(ctx context.Context, i, n int) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return defaultBudget
	}
	left := time.Until(deadline)
	if i == n-1 {
		return left
	}
	return left * 6 / 10
}

func (l *ladder) try(ctx context.Context, r rung, limit time.Duration) *reading {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begin := time.Now()
	got, err := r.read(ctx)
	l.notes = append(l.notes, l.after()...)
	cost := time.Since(begin)
	switch {
	case errors.Is(err, errAbsent), errors.Is(err, exec.ErrNotFound):
		l.ran(r.name, "skipped", cost, errAbsent.Error())
	case err != nil:
		l.ran(r.name, "failed", cost, err.Error())
	case len(got.threads) == 0:
		l.ran(r.name, "failed", cost, orElse(got.partial, "it showed no thread"))
		got = nil
	case got.partial != "":
		l.ran(r.name, "partial", cost, got.partial)
	default:
		l.ran(r.name, "ok", cost, "")
	}
	return got
}

func (l *ladder) ran(name, result string, cost time.Duration, reason string) {
	l.result.Ran = append(l.result.Ran, snapshot.Ran{Name: name, Result: result, Cost: snapshot.Seconds(cost.Seconds()), Reason: reason})
}

func (l *ladder) missing(format string, args ...any) {
	l.result.Missing = append(l.result.Missing, fmt.Sprintf(format, args...))
}

// reasons says why each rung failed.
func (l *ladder) reasons() string {
	var all []string
	for _, r := range l.result.Ran {
		all = append(all, r.Name+": "+r.Reason)
	}
	return strings.Join(all, "; ")
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
