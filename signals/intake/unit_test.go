package intake

import (
	"encoding/binary"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/vigil-supervisor/vigil/signals"
)

func TestRefused(t *testing.T) {
	for _, sig := range []syscall.Signal{0, -1, 65, syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGURG, syscall.SIGPROF, syscall.SIGSEGV, 32, 33, 34} {
		if in, err := Start(sig); err == nil || in != nil || !strings.Contains(err.Error(), signals.Name(sig)) {
			t.Errorf("signal %d: %v", sig, err)
		}
	}
	if started.Load() {
		t.Error("a refused start counts as one")
	}
}

func info(sig, code, pid int32, uid uint32) []byte {
	b := make([]byte, recordSize)
	for at, v := range map[int]uint32{0: uint32(sig), 8: uint32(code), 16: uint32(pid), 20: uid} {
		binary.NativeEndian.PutUint32(b[at:], v)
	}
	return b
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		raw  []byte
		want signals.Sender
	}{
		{info(1, 0, 7, 1000), signals.Sender{PID: 7, UID: 1000}},
		{info(1, -6, 7, 0), signals.Sender{PID: 7}},
		{info(1, -1, 7, 1000), signals.Sender{PID: 7, UID: 1000, Forged: true}},
		{info(1, -60, 7, 1000), signals.Sender{PID: 7, UID: 1000, Forged: true}},
		{info(1, 0x80, 0, 0), signals.Sender{Command: signals.Kernel}},
		{info(1, 0, 0, 0), signals.Sender{}},
	} {
		if r, ok := decode(c.raw); !ok || r.Sender != c.want || r.Count != 1 || r.Signal != 1 {
			t.Errorf("%v is %+v, %v", c.raw[:24], r, ok)
		}
	}
	for _, raw := range [][]byte{nil, info(1, 0, 1, 1)[:127], info(0, 0, 0, 0), info(65, 0, 0, 0), info(-1, 0, 0, 0)} {
		if r, ok := decode(raw); ok {
			t.Errorf("%v is %+v", raw, r)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(info(1, 0, 7, 1000))
	f.Add(info(64, -1, -5, 1<<31))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, ok := decode(b)
		if ok && (r.Signal < 1 || r.Signal > 64 || r.Count != 1 || r.Sender.PID < 0) {
			t.Errorf("%v is %+v", b, r)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (a b) c) S 7 1"))
	f.Add([]byte("12 (sh) R 1"))
	f.Add([]byte(") ( S 7"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if command, parent, ok := parseStat(b); parent < 0 || len(command) > len(b) || !ok && command != "" {
			t.Errorf("%q is %q, %d, %v", b, command, parent, ok)
		}
	})
}

func TestParseStat(t *testing.T) {
	if command, parent, ok := parseStat([]byte("12 (a) b (c) S 7 1")); command != "a) b (c" || parent != 7 || !ok {
		t.Errorf("%q %d %v", command, parent, ok)
	}
}

// The queue is bounded, and the counts that leave it are those that entered.
func TestQueueKeepsCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newQueue()
		in, out := map[syscall.Signal]int{}, map[syscall.Signal]int{}
		drain := func() {
			list := q.take()
			if len(list) > queueLimit+64 {
				t.Fatalf("%d records in the queue", len(list))
			}
			for _, r := range list {
				if r.Count < 1 || r.Unnamed < 0 || r.Unnamed > r.Count {
					t.Fatalf("record %+v", r)
				}
				out[r.Signal] += r.Count
			}
		}
		for range rapid.IntRange(1, 6).Draw(t, "bursts") {
			n := rapid.IntRange(0, 1500).Draw(t, "burst")
			pids, sigs := rapid.IntRange(1, 2000).Draw(t, "pids"), rapid.IntRange(1, 64).Draw(t, "signals")
			for i := range n {
				r := signals.Record{Signal: syscall.Signal(1 + i%sigs), Count: 1, Sender: signals.Sender{PID: i % pids}}
				if i%7 == 0 {
					r = unnamed(r.Signal, uint64(i%3+1))
				}
				in[r.Signal] += r.Count
				q.put(r)
			}
			if n > 0 {
				<-q.ready
			}
			if rapid.Bool().Draw(t, "take") {
				drain()
			}
		}
		drain()
		for sig := range syscall.Signal(65) {
			if in[sig] != out[sig] {
				t.Fatalf("signal %d: %d in, %d out", sig, in[sig], out[sig])
			}
		}
	})
}
