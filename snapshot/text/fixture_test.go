package text

import (
	"fmt"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

var verdict = time.Date(2026, 11, 24, 20, 31, 52, 123456000, time.UTC)

func frame(function, file string, line int, args, locals []snapshot.Variable) snapshot.Frame {
	return snapshot.Frame{Place: snapshot.Place{Function: function, File: file, Line: line}, PC: 0x46b0c5, Arguments: args, Locals: locals}
}

// bank is a Go service in which two goroutines hold each other's lock and 998
// wait behind them.
func bank() Document {
	lock := []snapshot.Frame{
		frame("internal/sync.(*Mutex).lockSlow", "/usr/local/go/src/internal/sync/mutex.go", 149, nil, nil),
		{Place: snapshot.Place{Function: "sync.(*Mutex).Lock", File: "/usr/local/go/src/sync/mutex.go", Line: 46}, PC: 1, Inlined: true},
	}
	transfer := frame("example.com/bank.(*Bank).Transfer", "/src/bank/transfer.go", 42,
		[]snapshot.Variable{
			{Name: "b", Type: "*bank.Bank", Value: "*{name: \"north\", accounts: [2]}"},
			{Name: "from", Type: "*bank.Account", Value: "*{id: 7, owner: \"Ada \x1b[2J\u202eevil\", balance: 1200, history: []bank.Entry len: 3, cap: 4, [{id: 1, amount: 100}, {id: 2, amount: 200}]}"},
			{Name: "apiToken", Type: "string", Masked: true},
		},
		[]snapshot.Variable{
			{Name: "fee", Type: "int", Value: "3"},
			{Name: "x", Type: "int", Error: "optimised away"}, {Name: "y", Type: "int", Error: "optimised away"},
			{Name: "p", Type: "*int", Error: "cannot read memory at 0x10"},
		})
	server := &snapshot.Place{Function: "net/http.(*Server).Serve", File: "/usr/local/go/src/net/http/server.go", Line: 3454}
	var ids []int64
	for id := int64(20); id < 84; id++ {
		ids = append(ids, id)
	}
	stacks := &snapshot.Stacks{
		Schema: 1, Runtime: "go", Total: 1007, Unwound: 1005, Optimised: true,
		Groups: []snapshot.Group{
			{Count: 998, Status: "waiting", WaitReason: "sync.Mutex.Lock", IDs: ids, CreatedBy: server, Sample: 20,
				Frames: append(lock[:2:2], transfer), Labels: []string{"request=transfer"}},
			{Count: 2, Status: "waiting", WaitReason: "sync.Mutex.Lock", IDs: []int64{18, 19}, CreatedBy: server, Sample: 18,
				Frames: append(lock[:2:2], frame("example.com/bank.(*Bank).settle", "/src/bank/settle.go", 17, nil, nil)), Cut: true},
			{Count: 1, Status: "waiting", WaitReason: "IO wait", IDs: []int64{9}, Sample: 9, Frames: []snapshot.Frame{
				frame("internal/poll.(*FD).Accept", "/usr/local/go/src/internal/poll/fd_unix.go", 613, nil, nil)}},
			{Count: 6, Status: "waiting", WaitReason: "GC worker (idle)", System: true, IDs: []int64{2, 3, 4, 5, 6, 7}, Frames: []snapshot.Frame{
				frame("runtime.gcBgMarkWorker", "/usr/local/go/src/runtime/mgc.go", 1463, nil, nil)}},
		},
		Waits: []snapshot.Wait{
			{Waiter: 18, Kind: "sync.Mutex.Lock", Address: 0xc000012340, Holder: 19, Place: &snapshot.Place{Function: "example.com/bank.(*Bank).settle", File: "/src/bank/settle.go", Line: 17}},
			{Waiter: 19, Kind: "sync.Mutex.Lock", Address: 0xc000012380, Holder: 18},
		},
		Deadlocks: []snapshot.Cycle{{Members: []int64{18, 19}}},
		Notes:     []string{"2 goroutines ran while they were stopped; their innermost frames can be inexact.", "optimised build: values of dead variables can be stale"},
	}
	moment := func(before time.Duration, kind, text string) snapshot.Moment {
		return snapshot.Moment{Time: verdict.Add(-before), Boot: time.Hour - before, Kind: kind, Text: text}
	}
	return Document{
		Incident: snapshot.Incident{
			Schema: 1, ID: "20261124T203152.123456Z-bank-3f9a", Service: "bank", Instance: 3, PID: 4711, Time: verdict, Host: "node-7",
			Cause: snapshot.CauseHang, Fingerprint: "v1:8c1f2e", Status: snapshot.StatusPartial, Bytes: 1_340_416,
			Sentence: "bank hung: the activity \"transfer\" gave no beat for 10s; goroutines 18 and 19 hold each other's lock in (*Bank).settle, and 998 wait behind them.",
			Command:  []string{"/usr/bin/bank", "--listen", ":8080"}, Uptime: snapshot.SecondsOf(3*time.Hour + 62*time.Second),
			Freeze: &snapshot.Freeze{Method: "copy", Pause: 0.00321, Budget: 2, Threads: 12, Bytes: 50_331_648},
			Program: &snapshot.Program{Path: "/usr/bin/bank", Runtime: "go", GoVersion: "go1.26.8", Module: "example.com/bank v1.4.0",
				Revision: "1f2e3d", Optimised: true},
			Missing: []string{"Kernel stacks are missing: /proc/PID/task/TID/stack needs CAP_SYS_ADMIN; run vigil as root to have them."},
			Ran: []snapshot.Ran{{Name: "freeze", Result: "ok", Cost: 0.00321, Bytes: 50_331_648},
				{Name: "golang", Result: "partial", Cost: 0.8412, Bytes: 812_000, Reason: "2 of 1,007 goroutines could not be unwound"}},
			Files: []snapshot.FileInfo{{Name: "stacks.json", Bytes: 1_000_000}, {Name: "incident.json", Bytes: 4096}},
		},
		Stacks: stacks,
		Process: &snapshot.Process{Schema: 1, PID: 4711, Comm: "bank", State: "S", UID: 1000, RSS: 73_400_320, ThreadCount: 12, FDCount: 1041,
			Threads: []snapshot.Thread{{TID: 4711, Comm: "bank", State: "S"}}, Denied: []string{"stack: permission denied (needs CAP_SYS_ADMIN)"}},
		Timeline: []snapshot.Moment{
			moment(3*time.Hour+62*time.Second, "state", "starting -> running"),
			moment(10*time.Second, "beat", "transfer: beat 81,223, the last one"),
			moment(4*time.Second, "signal", "HUP from pid 812 (uid 0, logrotate\x1b]0;owned\x07)"),
			moment(2100*time.Millisecond, "state", "suspect: no beat of transfer for 6s"),
			moment(0, "verdict", "hang"),
			moment(-35*time.Millisecond, "capture", "released"),
		},
		Output:   []byte("listening on :8080\r\n\x1b[31mslow transfer\x1b[0m 7 -> 9\nbytes \xff\xfe\x00 and\ttab\n\n"),
		Problems: []string{"There is no capture.json."},
	}
}

// pipeline is a program that is not Go's, killed: threads only.
func pipeline() Document {
	var threads []snapshot.Thread
	for n := range 12 {
		threads = append(threads, snapshot.Thread{TID: 900 + n, Comm: fmt.Sprintf("worker-%d", n), State: "S", Wchan: "futex_wait_queue",
			Syscall: fmt.Sprintf("futex(0x7f00%02x, 0x80, 2)", n), KernelStack: []string{"futex_wait_queue", "do_futex"},
			Frames: []snapshot.Frame{frame("pthread_cond_wait", "", 0, nil, nil), {PC: 0x55aa}}})
	}
	threads = append(threads, snapshot.Thread{TID: 999, Comm: "sync\x1b[H", State: "D", Wchan: "folio_wait_bit", Syscall: "fsync(3)"})
	return Document{
		Incident: snapshot.Incident{ID: "20261124T203152.123456Z-pipe-0001", Service: "pipe", Instance: 1, PID: 899, Time: verdict,
			Cause: snapshot.CauseKilled, Status: snapshot.StatusComplete, Bytes: 4096,
			Exit: &snapshot.Exit{Code: -1, Signal: "KILL", UserTime: 12.5, SystemTime: 0.25, MaxRSS: 1 << 30}},
		Stacks:  &snapshot.Stacks{Schema: 1, Runtime: "native", Threads: threads},
		Process: &snapshot.Process{Schema: 1, PID: 899, Comm: "pipe", State: "S", ThreadCount: 15},
	}
}
