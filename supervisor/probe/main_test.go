package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// most is a bound for what should take no time on an idle machine.
const most = 60 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(roleName) == roleSupervisor {
		beSupervisor()
	}
	// As the keeper does for the supervisor.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "cannot become a subreaper:", err)
		os.Exit(1)
	}
	reaper = os.Getpid
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 && !errors.Is(err, unix.EINTR) {
				os.Exit(code)
			}
		}
	}))
}

// attempt makes one attempt and checks what holds for each.
func attempt(t *testing.T, r Runner, timeout time.Duration) (res Result, sent int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	began := time.Now()
	res = r.Attempt(ctx, func() { sent++ })
	if took := time.Since(began); took > timeout+killTime+5*time.Second {
		t.Errorf("an attempt of at most %v took %v", timeout, took)
	}
	if len(res.Text) > maxText || res.Text == "" || strings.ContainsFunc(res.Text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		t.Errorf("text %q", res.Text)
	}
	if sent > 1 {
		t.Errorf("sent was called %d times", sent)
	}
	return res, sent
}

var within = regexp.MustCompile(`within [0-9.]+m?s`)

// want makes an attempt that must end so; the text must hold the words.
func want(t *testing.T, r Runner, timeout time.Duration, ok bool, sent int, words ...string) Result {
	t.Helper()
	res, n := attempt(t, r, timeout)
	if res.OK != ok || n != sent {
		t.Errorf("ok %v, sent %d, %q; want ok %v, sent %d", res.OK, n, res.Text, ok, sent)
	}
	// What is left of the time when an attempt begins depends on the machine.
	text := within.ReplaceAllString(res.Text, "within T")
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("text %q does not hold %q", res.Text, w)
		}
	}
	return res
}

func closing(t *testing.T, r Runner) {
	t.Helper()
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// eventually asks until there is no error any more.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	end := time.NewTimer(most)
	defer end.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-end.C:
			t.Fatalf("waited %s in vain for %s: %v", most, what, err)
		case <-tick.C:
		}
	}
}

func TestLine(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"a\x1b[31mb\nc", `a\x1b[31mb\x0ac`},
		{strings.Repeat("x", 300), strings.Repeat("x", 300)},
		{strings.Repeat("x", 301), strings.Repeat("x", 297) + "..."},
		{strings.Repeat("x", 296) + "ééé", strings.Repeat("x", 296) + "..."},
	} {
		if got := line(c.in); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b[31mb\nc")
	f.Add(strings.Repeat("é", 151))
	f.Fuzz(func(t *testing.T, s string) {
		if got := line(s); len(got) > maxText || strings.ContainsAny(got, "\n\r\x1b\x00") {
			t.Errorf("%q", got)
		}
	})
}
