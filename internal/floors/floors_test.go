// Package floors holds the plan of the house: imports point downwards only.
package floors

import (
	"bufio"
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/vigil-supervisor/vigil/"

// floors gives the first matching prefix its floor. A package may import
// packages of lower floors; leaves in internal may import each other, which Go
// keeps free of cycles.
var floors = []struct {
	prefix string
	floor  int
}{
	{"cmd/", 40}, {"examples/", 40}, {"bench/", 40}, {"test/", 40},
	{"internal/", 0},
	{"signals/early", 7}, {"signals/intake", 5}, {"signals/ledger", 5},
	{"signals", 0},
	{"heartbeat/wire", 0}, {"heartbeat/clienttest", 15}, {"heartbeat", 10},
	{"supervisor/restart", 0},
	{"supervisor/config", 10}, {"supervisor/lifecycle", 10}, {"supervisor/order", 10}, {"supervisor/watchdog", 10}, {"supervisor/logs", 10}, {"supervisor/recorder", 10},
	{"supervisor/probe", 15},
	{"supervisor", 30},
	{"snapshot/store", 10}, {"snapshot/analyze", 10}, {"snapshot/text", 15}, {"snapshot/conclude", 15}, {"snapshot/export", 15}, {"snapshot/binaries", 15}, {"snapshot/bundle", 15},
	{"snapshot/collect/process", 18}, {"snapshot/collect/native", 18}, {"snapshot/collect/gotext", 12}, {"snapshot/collect/counters", 15}, // the other collectors may fall back on them
	{"snapshot/capture", 20}, {"snapshot/collect/", 20},
	{"snapshot", 0},
	{"control/server", 20}, {"control/client", 20},
	{"control", 10},
	{"browser/api", 15}, {"browser/web", 15}, {"browser/view", 25}, {"browser", 30},
	{"keeper/protocol", 20},
	{"keeper", 25},
}

func floorOf(pkg string) (int, bool) {
	for _, f := range floors {
		if pkg == f.prefix || strings.HasPrefix(pkg, strings.TrimSuffix(f.prefix, "/")+"/") {
			return f.floor, true
		}
	}
	return 0, false
}

func TestImportsPointDownwards(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot list packages: %v", err)
	}
	seen := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		pkg := strings.TrimPrefix(fields[0], module)
		floor, ok := floorOf(pkg)
		if !ok {
			t.Errorf("package %s has no floor; give it one in this file", pkg)
			continue
		}
		seen++
		for _, imp := range fields[1:] {
			other, ours := strings.CutPrefix(imp, module)
			if !ours || (floor == 0 && strings.HasPrefix(other, "internal/")) {
				continue
			}
			if at, _ := floorOf(other); at >= floor {
				t.Errorf("%s (floor %d) imports %s (floor %d)", pkg, floor, other, at)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d packages were seen", seen)
	}
}

// The supervisor reaches the keeper by the protocol alone.
func TestSupervisorKnowsOnlyTheProtocol(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"supervisor").Output()
	if err != nil {
		t.Fatalf("cannot list dependencies: %v", err)
	}
	for dep := range strings.Lines(string(out)) {
		switch strings.TrimSpace(dep) {
		case module + "keeper", module + "snapshot/capture", module + "snapshot/collect/golang":
			t.Errorf("supervisor depends on %s", strings.TrimSpace(dep))
		}
	}
}
