package supervisor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
)

// nameEnv is the name of a service that plays order.
const nameEnv = "SUPERVISOR_TEST_NAME"

// playOrder writes what it does to a file that all of them share, and is ready
// and gone in a moment.
func playOrder(term <-chan os.Signal) int {
	f, err := os.OpenFile(filepath.Join(os.Getenv("STATE"), "..", "order"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 3
	}
	defer f.Close()
	tell := func(word string) { fmt.Fprintln(f, os.Getenv(nameEnv), word) }
	moment := func() <-chan time.Time { return time.After(time.Duration(rand.IntN(30)) * time.Millisecond) }
	tell("begin")
	select {
	case <-moment():
		tell("ready")
		say("READY=1")
		<-term
	case <-term:
	}
	tell("term")
	<-moment()
	tell("end")
	return 0
}

// required is the order of the test: s needs b and c, b needs a, c comes after a.
var required = map[string][]string{"s": {"b", "c"}, "b": {"a"}}

// diamond is the TOML of it; the first lines go into the table of s. One that
// tells that it is ready while the keeper is dead is taken for ready in the end.
func diamond() string {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	text := "requires = [\"b\", \"c\"]\nready.notify = true\nstart_timeout = \"20s\"\n"
	for name, order := range map[string]string{"a": "", "b": `requires = ["a"]`, "c": `after = ["a"]`} {
		text += fmt.Sprintf("[service.%s]\ncommand = [%q]\nready.notify = true\nstart_timeout = \"20s\"\nenvironment = { %s = \"order\", %s = %q }\n%s\n", name, exe, roleEnv, nameEnv, name, order)
	}
	return text
}

// askFor asks for one service; a supervisor that is gone is asked again.
func (v *vigil) askFor(verb control.Verb, name string, wait bool) {
	v.t.Helper()
	await(v, fmt.Sprintf("%s %s", verb, name), func(ctx context.Context, c *client.Client) ([]control.Result, error) {
		return c.Ask(ctx, control.Ask{Verb: verb, Services: []string{name}, Wait: wait})
	}, func([]control.Result) bool { return true })
}

// TestOrderHoldsThroughReplacements kills the supervisor, and at times the
// keeper, at any moment of starts and stops: nothing is started before what it
// requires is ready, nothing ends before what requires it is gone.
func TestOrderHoldsThroughReplacements(t *testing.T) {
	v := upOrder(t)
	for range 12 {
		name := []string{"s", "a", "b", "c"}[rand.IntN(4)]
		verb := []control.Verb{control.Start, control.Stop}[rand.IntN(2)]
		if name == "s" && rand.IntN(2) == 0 {
			verb = control.Restart // of those below, starts under way would be overtaken
		}
		v.askFor(verb, name, false)
		<-time.After(time.Duration(rand.IntN(80)) * time.Millisecond)
		if rand.IntN(4) == 0 {
			v.dies(rand.IntN(2) == 0)
			v.launch()
		} else {
			v.replace()
		}
	}
	v.askFor(control.Start, "c", false)
	v.askFor(control.Start, "s", true)
	all := await(v, "all services up", func(ctx context.Context, c *client.Client) ([]control.Service, error) {
		return c.Services(ctx, nil)
	}, func(all []control.Service) bool {
		up := 0
		for _, s := range all {
			if s.State == "running" && s.Ready {
				up++
			}
		}
		return up == 4
	})
	t.Logf("instances: %d %d %d %d", all[0].Instance, all[1].Instance, all[2].Instance, all[3].Instance)
	v.stopAll()
	checkOrder(t, v.path("order"))
}

// upOrder starts vigil with the diamond.
func upOrder(t *testing.T) *vigil {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("environment = { %s = \"order\", %s = \"s\" }\n", roleEnv, nameEnv) + diamond()
	return upCommand(t, []string{exe}, text, "", "")
}

// stopAll is TERM, and the end of vigil.
func (v *vigil) stopAll() {
	v.t.Helper()
	if err := v.cmd.Process.Signal(os.Interrupt); err != nil {
		v.t.Fatal(err)
	}
	select {
	case <-v.over:
	case <-time.After(patience):
		v.t.Fatal("vigil does not end")
	}
}

// checkOrder reads what the services wrote, line by line.
func checkOrder(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]string{}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for i, line := range lines {
		name, word, _ := strings.Cut(line, " ")
		switch word {
		case "begin":
			for _, below := range required[name] {
				if last[below] != "ready" {
					t.Errorf("line %d: %s begins while %s is at %q", i+1, name, below, last[below])
				}
			}
		case "term":
			for above, list := range required {
				for _, below := range list {
					if below == name && last[above] != "" && last[above] != "end" {
						t.Errorf("line %d: %s is to end while %s is at %q", i+1, name, above, last[above])
					}
				}
			}
		}
		last[name] = word
	}
	for _, name := range []string{"s", "a", "b", "c"} {
		if last[name] != "end" {
			t.Errorf("%s is at %q", name, last[name])
		}
	}
	// At the end all go, also those that are merely after others.
	if got := strings.Join(lines[len(lines)-2:], ", "); got != "a term, a end" {
		t.Errorf("the last lines are %s", got)
	}
	if t.Failed() {
		t.Logf("the order was:\n%s", b)
	}
	t.Logf("%d lines", len(lines))
}
