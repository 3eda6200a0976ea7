package supervisor_test

import (
	"os"
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/control"
)

// TestOutputPattern: a line of output is a suspicion, another one a verdict.
func TestOutputPattern(t *testing.T) {
	v := up(t, "saying", `output = [{ pattern = "OutOfMemory" }, { pattern = "^deadlock", verdict = "hang", stream = "stderr" }]
`, "")
	v.state("running")
	touch(v.path("memory"))
	e := v.event("suspect", "OutOfMemory")
	if !strings.Contains(e.Text, "java.lang.OutOfMemoryError: Java heap space") {
		t.Errorf("the suspicion is %q", e.Text)
	}
	if s := v.state("suspect"); s.Restarts != 0 {
		t.Errorf("%+v", s)
	}
	touch(v.path("deadlock"))
	v.event("verdict", "hang: ")
	v.service("another instance", func(s control.Service) bool { return s.Instance == 2 && s.State == "running" })
}

// TestFileFreshness: a service beats by a file, which it replaces each time.
func TestFileFreshness(t *testing.T) {
	v := up(t, "refreshing", `heartbeat = { file = "FILE", timeout = "900ms" }
`, "")
	v.service("the sign", func(s control.Service) bool {
		return len(s.Signs) == 1 && s.Signs[0].Kind == "file" && s.Signs[0].Age < 0.3
	})
	if err := os.RemoveAll(v.path("beats")); err != nil {
		t.Fatal(err)
	}
	v.service("the sign, after its directory was removed", func(s control.Service) bool {
		_, err := os.Stat(v.path("beats", "alive"))
		return err == nil && s.State == "running" && s.Signs[0].Age < 0.3
	})
	touch(v.path("hold"))
	v.event("verdict", "hang: ")
	_ = os.Remove(v.path("hold"))
	v.service("another instance", func(s control.Service) bool { return s.Instance == 2 && s.State == "running" })
}
