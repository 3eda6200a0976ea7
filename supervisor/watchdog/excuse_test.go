package watchdog

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// proofs has facts for each rule, in the order of the rules, that prove it and
// no earlier one; below are the facts that just do not.
var proofs = []struct {
	name  string
	kind  ExcuseKind
	proof func(*Facts)
	short func(*Facts)
	words string
}{
	{"suspended-host", Hold, func(f *Facts) { f.Suspended = time.Hour }, func(f *Facts) { f.Suspended = minSuspended - 1 }, "suspended for 1h0m0s"},
	{"frozen", Hold, func(f *Facts) { f.Frozen = "by cgroup.freeze of /g" }, func(f *Facts) { f.Frozen = "" }, "held still by cgroup.freeze of /g"},
	{"stopped", Hold, func(f *Facts) { f.State, f.Stopped = 'T', 3 }, func(f *Facts) { f.Stopped = 2 }, "3 of 3 threads in state T"},
	{"traced", Hold, func(f *Facts) { f.TracerPID, f.Tracer, f.TracedStops = 7, "gdb", 3 }, func(f *Facts) { f.TracerPID, f.TracerOwn = 7, true }, "pid 7 (gdb) traces it; 3 of 3 threads are held"},
	{"paging", Grant, func(f *Facts) { f.Service = Pressure{Known: true, IO: .41} }, func(f *Facts) { f.Service = Pressure{Known: true, Memory: .39, IO: .39} }, "io full 41 % of the last 2s"},
	{"paging", Grant, func(f *Facts) { f.MajorFaults = 100 }, func(f *Facts) { f.MajorFaults, f.Machine = 9, Pressure{Known: true, Memory: .9} }, "100 major faults/s"},
	{"starved", Grant, func(f *Facts) { f.Service = Pressure{Known: true, CPU: .6} }, func(f *Facts) { f.Service = Pressure{Known: true, CPU: .59} }, "no processor for 60 % of the last 2s"},
	{"starved", Grant, func(f *Facts) { f.Throttled = .5 }, func(f *Facts) { f.Throttled = .49 }, "cpu.max for 50 %"},
	{"starved", Grant, func(f *Facts) { f.Delay = .6 }, func(f *Facts) { f.Service.Known, f.Delay = true, .9 }, "a thread was ready"},
	{"uninterruptible", Grant, func(f *Facts) { f.Uninterruptible, f.Wchan = 1, "nfs_wait" }, func(f *Facts) { f.State = 'D' }, "1 of 3 threads wait in nfs_wait (state D)"},
	{"late-loop", Grant, func(f *Facts) { f.Late = minLate }, func(f *Facts) { f.Late = minLate - 1 }, "250ms late"},
}

func healthy() Facts { return Facts{State: 'S', Threads: 3, Window: 2 * time.Second} }

func TestEachRuleNeedsItsProof(t *testing.T) {
	if len(proofs) != len(excuses) {
		t.Fatalf("%d proofs for %d rules", len(proofs), len(excuses))
	}
	for i, p := range proofs {
		f := healthy()
		p.proof(&f)
		e := Judge(f)
		if e.Name != p.name || e.Kind != p.kind || !strings.Contains(e.Text, p.words) {
			t.Errorf("rule %d: %v %q", i, e.Kind, e)
		}
		if e.Name != excuses[i].name || e.Text != excuses[i].sentence(&f) {
			t.Errorf("rule %d: an earlier one applies", i)
		}
		f = healthy()
		p.short(&f)
		if e := Judge(f); e != (Excuse{}) {
			t.Errorf("rule %d: without proof %q", i, e)
		}
	}
}

// A deadlocked service on a machine that is busy with other things.
func TestBusyMachineAloneExcusesNothing(t *testing.T) {
	f := healthy()
	f.Machine = Pressure{Known: true, CPU: 1, Memory: 1, IO: 1}
	if e := Judge(f); e.Kind != None {
		t.Error(e)
	}
	f.Service.Known = true
	if e := Judge(f); e.Kind != None {
		t.Error(e)
	}
	if e := Judge(Facts{}); e != (Excuse{}) {
		t.Errorf("of nothing: %q", e)
	}
}

// Of all that is true, the first row is said; Holds come first.
func TestOrderOfRules(t *testing.T) {
	all := healthy()
	for _, p := range slices.Backward(proofs) {
		p.proof(&all)
		if e := Judge(all); e.Name != p.name && p.kind == Hold {
			t.Errorf("%s: %q", p.name, e)
		}
	}
	holds := true
	for _, r := range excuses {
		if r.kind == Hold && !holds {
			t.Errorf("%s stands behind a Grant", r.name)
		}
		holds = r.kind == Hold
	}
}

// TestDocumentation: the table of docs/liveness.md has the excuses in the order
// of the rules, with what is done.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/liveness.md")
	if err != nil {
		t.Fatal(err)
	}
	var told, want []string
	_, table, _ := strings.Cut(string(text), "\n## Excuses\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if name, ok := strings.CutPrefix(cells[0], "| `"); ok && len(cells) == 4 {
			told = append(told, strings.TrimSuffix(name, "`")+" "+cells[2])
		}
	}
	for _, r := range excuses {
		want = append(want, r.name+" "+r.kind.String())
	}
	if want = slices.Compact(want); !slices.Equal(told, want) {
		t.Errorf("the document has %q, the rules %q", told, want)
	}
	for _, number := range []float64{minPaging, minStarved, minThrottled} {
		if !strings.Contains(table, fmt.Sprintf("%.0f %%", number*100)) {
			t.Errorf("the table lacks %.0f %%", number*100)
		}
	}
	for _, number := range []time.Duration{minSuspended, minLate} {
		if !strings.Contains(table, fmt.Sprintf("%d ms", number.Milliseconds())) {
			t.Errorf("the table lacks %s", number)
		}
	}
}

func TestGuardBoundsGrants(t *testing.T) {
	var g Guard
	grant := Excuse{Name: "starved", Text: "proof", Kind: Grant}
	hold := Excuse{Name: "stopped", Text: "proof", Kind: Hold}
	want := func(e Excuse, kind ExcuseKind, text string) {
		t.Helper()
		if got := g.Decide(e); got.Kind != kind || got.Text != text || got.Name != e.Name {
			t.Errorf("%v %q, want %v %q", got.Kind, got.Text, kind, text)
		}
	}
	want(Excuse{}, None, "")
	want(grant, Grant, "proof; one more limit is granted (1 of 2)")
	want(hold, Hold, "proof")
	want(grant, Grant, "proof; one more limit is granted (2 of 2)")
	want(grant, None, "proof; no excuse any more: 2 limits were granted for such reasons")
	want(hold, Hold, "proof")
	g.Recovered()
	want(grant, Grant, "proof; one more limit is granted (1 of 2)")
}
