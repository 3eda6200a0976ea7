package analyze

import (
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func own(function string) []snapshot.Frame {
	return []snapshot.Frame{{Place: snapshot.Place{Function: "runtime.gopark"}}, {Place: snapshot.Place{Function: function, File: "/src/a.go", Line: 7}}}
}

func TestCard(t *testing.T) {
	at := &snapshot.Place{Function: "main.pay", File: "/src/bank.go", Line: 40}
	group := func(n int, status, reason, function string, ids ...int64) snapshot.Group {
		return snapshot.Group{Count: n, Status: status, WaitReason: reason, Frames: own(function), IDs: ids, CreatedBy: at}
	}
	stacks := func(groups ...snapshot.Group) *snapshot.Stacks {
		s := &snapshot.Stacks{Runtime: "go", Groups: groups}
		for _, g := range groups {
			s.Total += g.Count
		}
		return s
	}
	cycle := stacks(group(2, "waiting", "sync.Mutex.Lock", "main.pay", 7, 8))
	cycle.Waits = []snapshot.Wait{{Waiter: 7, Holder: 8, Kind: "sync.Mutex.Lock", Address: 1, Certain: true, Place: at}, {Waiter: 8, Holder: 7, Kind: "sync.Mutex.Lock", Address: 2, Certain: true, Place: at}}
	cycle.Deadlocks = Cycles(cycle.Waits)
	behind := stacks(group(3, "waiting", "sync.Mutex.Lock", "main.pay", 1, 2, 3), group(1, "waiting", "IO wait", "main.fetch", 9))
	for id := range int64(3) {
		behind.Waits = append(behind.Waits, snapshot.Wait{Waiter: id + 1, Holder: 9, Kind: "sync.Mutex.Lock", Address: 5})
	}
	panicked := stacks(group(1, "running", "", "main.f", 1))
	panicked.Crash = &snapshot.Crash{Kind: snapshot.CrashPanic, Message: "nil map", Frame: at}
	native := stacks(group(2, "", "", "main.idle", 1, 2), group(1, "", "", "main.hot", 3))
	native.Runtime, native.Groups[0].Idle = "native", "it waits for work"
	for _, tt := range []struct {
		name       string
		cause      snapshot.Cause
		stacks     *snapshot.Stacks
		process    *snapshot.Process
		confidence string
		want, look string
	}{
		{"deadlock", snapshot.CauseHang, cycle, nil, "certain", "2 goroutines deadlocked on sync.Mutex: g7", "main.pay bank.go:40"},
		{"held", snapshot.CauseHang, behind, nil, "likely", "3 goroutines wait behind g9, which holds sync.Mutex and is waiting IO wait in main.fetch a.go:7", "main.fetch a.go:7"},
		{"lock of nobody", snapshot.CauseHang, stacks(group(1, "waiting", "sync.Mutex.Lock", "main.pay", 1)), nil, "likely", "1 goroutine in main.pay a.go:7 waiting in sync.Mutex.Lock", "main.pay a.go:7"},
		{"leak", snapshot.CauseHang, stacks(group(9812, "waiting", "chan receive", "main.wait")), nil, "likely", "9,812 goroutines stand at one place, main.wait a.go:7, made by main.pay bank.go:40", "main.pay bank.go:40"},
		{"spins", snapshot.CauseHang, stacks(group(1, "running", "", "main.hot", 1)), nil, "unclear", "1 goroutine running in main.hot a.go:7", "main.hot a.go:7"},
		{"kernel", snapshot.CauseHang, nil, &snapshot.Process{Threads: []snapshot.Thread{{TID: 4, Comm: "w", State: "D", Wchan: "nfs_wait"}}}, "likely", "thread 4 (w) is in an uninterruptible wait in the kernel, at nfs_wait", "nfs_wait"},
		{"panic", snapshot.CauseCrash, panicked, nil, "certain", "panic: nil map, in main.pay bank.go:40", "main.pay bank.go:40"},
		{"fault", snapshot.CauseCrash, native, nil, "likely", "signal SEGV, in main.hot a.go:7", "main.hot a.go:7"},
		{"oom", snapshot.CauseOOM, nil, nil, "certain", "the kernel killed it for memory", "memory in samples.json"},
		{"killed", snapshot.CauseKilled, nil, nil, "certain", "the sentence", ""},
		{"exit", snapshot.CauseExit, nil, nil, "certain", "the sentence", "output"},
		{"lost", snapshot.CauseThreadLost, nil, nil, "certain", "the sentence", "output"},
		{"probe", snapshot.CauseProbe, nil, nil, "unclear", "the sentence", ""},
		{"nothing", snapshot.CauseHang, nil, nil, "unclear", "the sentence", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			exit := &snapshot.Exit{Code: -1, Signal: "SEGV"}
			c := Card(Case{Incident: snapshot.Incident{Cause: tt.cause, Sentence: "the sentence", Exit: exit}, Stacks: tt.stacks, Process: tt.process})
			if !strings.HasPrefix(c.Sentence, tt.want) || c.Confidence != tt.confidence || c.Why == "" {
				t.Errorf("%+v", c)
			}
			if look := strings.Join(c.LookAt, "; "); !strings.Contains(look, tt.look) {
				t.Errorf("look at %q, want %q", look, tt.look)
			}
		})
	}
}
