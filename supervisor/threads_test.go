package supervisor_test

import (
	"os"
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot"
)

func (v *vigil) threadSign(name, text string) func(control.Service) bool {
	return func(s control.Service) bool {
		for _, one := range s.Signs {
			if one.Kind == "thread" && one.Name == name && strings.HasPrefix(one.Text, text) {
				return true
			}
		}
		return false
	}
}

// TestThreadLost: a thread of a program that knows nothing of vigil ends, and
// the process lives on.
func TestThreadLost(t *testing.T) {
	v := up(t, "threads", `thread = [{ name = "worker*", minimum = 2, within = "400ms" }, { name = "ticker", expect = "progress", within = "30s" }]
`, "")
	first := v.service("running", func(s control.Service) bool {
		return s.State == "running" && v.threadSign("worker*", "2 threads")(s)
	})
	touch(v.path("hold"))
	e := v.event("verdict", "thread-lost: ")
	if !strings.Contains(e.Text, "`worker*`") {
		t.Errorf("the verdict is %q", e.Text)
	}
	_ = os.Remove(v.path("hold"))
	second := v.service("another instance", func(s control.Service) bool { return s.Instance == 2 && s.State == "running" })
	if second.Cause != string(snapshot.CauseThreadLost) || second.PID == first.PID {
		t.Errorf("%+v", second)
	}
}

// TestThreadStuck: a thread that must always move stands still.
func TestThreadStuck(t *testing.T) {
	v := up(t, "threads", `thread = [{ name = "worker*", minimum = 2, within = "30s" }, { name = "ticker", expect = "progress", within = "600ms" }]
`, "")
	v.service("running", func(s control.Service) bool {
		return s.State == "running" && v.threadSign("ticker", "1 thread, moved")(s)
	})
	touch(v.path("still"))
	e := v.event("verdict", "thread-stuck: ")
	if !strings.Contains(e.Text, "`ticker`") {
		t.Errorf("the verdict is %q", e.Text)
	}
	_ = os.Remove(v.path("still"))
	v.service("another instance", func(s control.Service) bool { return s.Instance == 2 && s.State == "running" })
}
