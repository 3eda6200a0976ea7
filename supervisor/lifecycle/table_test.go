package lifecycle

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write docs/lifecycle.md")

func TestTableIsTotal(t *testing.T) {
	for _, s := range States() {
		for _, k := range EventKinds() {
			if table[s][k].name == "" {
				t.Errorf("%s does not say what %s does", s, k)
			}
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range States() {
		if seen[s.String()] || s.String() == "" {
			t.Errorf("state %q twice", s)
		}
		seen[s.String()] = true
	}
	for _, k := range EventKinds() {
		if k.String() == "" {
			t.Errorf("event %d has no name", k)
		}
	}
}

func TestStateText(t *testing.T) {
	for _, s := range States() {
		b, err := s.MarshalText()
		var back State
		if err != nil || back.UnmarshalText(b) != nil || back != s {
			t.Errorf("%s does not survive its text %q: %v", s, b, err)
		}
	}
	var s State
	if s.UnmarshalText([]byte("asleep")) == nil {
		t.Error("an unknown state was accepted")
	}
}

// owners says what makes a service leave each state.
var owners = map[State]string{
	Stopped:  "final: a request",
	Waiting:  "the services that it waits for: each has an owner here, or is final and named as the reason",
	Starting: "the answer to the start (looked at again every 30 s), then readiness: the process, or start_timeout",
	Running:  "the process; reset_after, at which the past is forgotten; after an announced stop stop_timeout, at which its beats are judged again",
	Suspect:  "the process; the heartbeat's limit",
	Freezing: "the answer of the capture, or its budget + 2 s",
	Stopping: "the end of the tree; stop_timeout, then a kill that is repeated every 10 s",
	Backoff:  "the delay of the restart policy",
	Failed:   "final: a request",
}

// diagram shows the usual ways; the tables below are complete.
const diagram = `
The usual ways (the tables below are complete):

` + "```mermaid" + `
stateDiagram-v2
    [*] --> stopped
    stopped --> starting: start
    stopped --> waiting: start, held back
    waiting --> starting: what it waited for is there
    waiting --> stopped: stop
    starting --> running: ready
    starting --> freezing: start time-out
    running --> suspect: a sign of life is late
    suspect --> running: it came after all
    running --> freezing: verdict
    suspect --> freezing: verdict
    freezing --> stopping: evidence taken, or budget over
    starting --> stopping: exited, or stop
    running --> stopping: exited, or stop
    suspect --> stopping: exited, or stop
    running --> starting: again, by the keeper
    stopping --> starting: tree gone, restart at once
    stopping --> waiting: tree gone, held back
    stopping --> backoff: tree gone, restart later
    stopping --> stopped: tree gone, not wanted
    stopping --> failed: tree gone, gave up
    backoff --> starting: delay over, or start
    backoff --> waiting: delay over, held back
    backoff --> stopped: stop
    failed --> starting: start
    failed --> stopped: stop
` + "```" + `
`

func document() []byte {
	var b bytes.Buffer
	b.WriteString("# The life of a service\n\nGenerated from `supervisor/lifecycle/table.go` by `go test ./supervisor/lifecycle -update`; do not edit.\n\n")
	b.WriteString("Every state that is not final has an owner of its exit, so nothing can be stuck.\n\n| state | what makes it leave |\n|---|---|\n")
	for _, s := range States() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", s, owners[s])
	}
	b.WriteString(diagram)
	b.WriteString("\nAn event about another instance than the current one changes nothing: events can come twice.\n")
	for _, s := range States() {
		fmt.Fprintf(&b, "\n## %s\n\n| event | what it does |\n|---|---|\n", s)
		for _, k := range EventKinds() {
			fmt.Fprintf(&b, "| `%s` | %s |\n", k, table[s][k].name)
		}
	}
	return b.Bytes()
}

func TestDocumentIsCurrent(t *testing.T) {
	const path = "../../docs/lifecycle.md"
	for _, s := range States() {
		if owners[s] == "" {
			t.Errorf("nothing is said about what makes %s leave", s)
		}
	}
	want := document()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/lifecycle.md is not current (%v): run go test ./supervisor/lifecycle -update", err)
	}
}
