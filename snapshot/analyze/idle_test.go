package analyze

import (
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func TestIdle(t *testing.T) {
	stack := func(functions ...string) (frames []snapshot.Frame) {
		for _, f := range functions {
			frames = append(frames, snapshot.Frame{Place: snapshot.Place{Function: f}})
		}
		return frames
	}
	for name, c := range map[string]struct {
		group snapshot.Group
		idle  bool
	}{
		"accept":             {snapshot.Group{Frames: stack("runtime.gopark", "internal/poll.(*FD).Accept", "net.(*TCPListener).Accept", "main.main")}, true},
		"collector":          {snapshot.Group{WaitReason: "GC worker (idle)"}, true},
		"system":             {snapshot.Group{System: true}, true},
		"said so":            {snapshot.Group{Idle: "pool"}, true},
		"between requests":   {snapshot.Group{Frames: stack("internal/poll.(*FD).Read", "bufio.(*Reader).Peek", "net/http.(*conn).serve")}, true},
		"in a handler":       {snapshot.Group{Frames: stack("internal/poll.(*FD).Read", "bufio.(*Reader).Peek", "acme.(*H).ServeHTTP", "net/http.(*conn).serve")}, false},
		"a client's request": {snapshot.Group{Frames: stack("internal/poll.(*FD).Read", "net/http.(*persistConn).readLoop")}, false},
		"a lock":             {snapshot.Group{WaitReason: "sync.Mutex.Lock", Frames: stack("main.pay")}, false},
		"nothing":            {snapshot.Group{}, false},
	} {
		if got := Idle(c.group); (got != "") != c.idle {
			t.Errorf("%s: %q", name, got)
		}
	}
}
