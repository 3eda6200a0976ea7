package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/vigil-supervisor/vigil/internal/harmless"
)

// Result is what one attempt saw.
type Result struct {
	OK bool
	// Text is one line without control characters, of at most 300 bytes: what
	// was seen, or which step failed and why.
	Text string
	// Role is what a ZooKeeper server says it is: leader, follower, observer or
	// standalone; "" when that is unknown, and for other probes.
	Role string
	// Heard says that the server has told its role, also that it has none now.
	Heard bool
}

// Runner makes attempts, one after another; its owner sees to it that there are
// never two at a time.
type Runner interface {
	// Attempt returns soon after ctx is done, at the latest. It calls sent, which
	// may be nil, at most once, from any goroutine and not after its return,
	// when the demand has been handed to the service: what is unanswered from
	// then on is the service's silence.
	Attempt(ctx context.Context, sent func()) Result
	// Close ends what was kept between attempts, and an attempt that still runs.
	// It may take a few seconds when the service does not answer.
	Close() error
}

// maxText bounds Result.Text, in bytes.
const maxText = 300

// good and bad make results with a text that is fit to be shown.
func good(format string, args ...any) Result {
	return Result{OK: true, Text: line(fmt.Sprintf(format, args...))}
}

func bad(format string, args ...any) Result {
	return Result{Text: line(fmt.Sprintf(format, args...))}
}

// line makes text of others one line of bounded length.
func line(s string) string {
	const more = "..."
	if s = harmless.Text(head(s, maxText+utf8.UTFMax), nil); len(s) <= maxText {
		return s
	}
	return head(s, maxText-len(more)) + more
}

// head is the first n bytes of s, less where that would split a character.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range utf8.UTFMax - 1 {
		if n-i > 0 && utf8.RuneStart(s[n-i]) {
			return s[:n-i]
		}
	}
	return s[:n] // not UTF-8
}

// silence says why an attempt that began then ended with its context.
func silence(ctx context.Context, began time.Time) string {
	deadline, ok := ctx.Deadline()
	if ok && ctx.Err() != context.Canceled {
		return fmt.Sprintf("no answer within %v", rounded(deadline.Sub(began)))
	}
	return fmt.Sprintf("given up after %v: %v", time.Since(began).Round(time.Millisecond), context.Cause(ctx))
}

// timedOut says whether err is that the attempt's time is over. A connection's
// deadline, which is that of ctx, may be a little earlier than ctx.
func timedOut(ctx context.Context, err error) bool {
	var timeout interface{ Timeout() bool }
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(deadline) < 5*time.Millisecond && errors.As(err, &timeout) && timeout.Timeout()
}

// took is how long an attempt that began then has lasted, for people.
func took(began time.Time) string { return rounded(time.Since(began)).String() }

// rounded leaves what people read. The time of an attempt is a little less than
// its owner gave, since it takes a moment to begin.
func rounded(d time.Duration) time.Duration {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	case d < time.Second:
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

// notice calls sent once, and not after its end.
type notice struct {
	mu   sync.Mutex
	sent func() // nil when there is nothing to tell any more
}

func (n *notice) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sent != nil {
		n.sent()
		n.sent = nil
	}
}

func (n *notice) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent = nil
}
