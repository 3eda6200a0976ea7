package zookeeper

import (
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// The judge of threads alone, without a supervisor, on a real server: one thread
// after another stands still, is named, and goes on; then the request thread dies,
// as in the story, and nobody is told.
func TestJudge(t *testing.T) {
	requireAgent(t)
	t.Parallel()
	s := alone(t)
	j := s.run(t, "-Xmx128m", "-Djute.maxbuffer=1000000000")
	s.serves(t, "/first")
	w := s.watch(t, j.pid())
	w.serves(2)
	for _, tt := range []struct {
		thread string // its name begins with that
		says   string // the verdict does
	}{
		{"RequestThrottler", "no thread of `RequestThrottle` ("},
		{"ProcessThread", "no thread of `ProcessThread*` ("},
		{"SyncThread", "no thread of `SyncThread:*` ("},
	} {
		fault(t, j.pid(), "suspend:"+tt.thread)
		v := w.confirmed(clock.Boot())
		if v.Cause != snapshot.CauseThreadStuck || !strings.HasPrefix(v.Text, tt.says) {
			t.Errorf("%s frozen: %s: %s", tt.thread, v.Cause, v.Text)
		}
		fault(t, j.pid(), "resume:"+tt.thread)
		w.serves(2)
		w.healthy()
	}
	fault(t, j.pid(), "silence:ProcessThread")
	begin := clock.Boot()
	if err := s.poison(500 * time.Millisecond); err == nil {
		t.Fatal("the server has ended")
	}
	v := w.confirmed(begin)
	if v.Cause != snapshot.CauseThreadLost || !strings.HasPrefix(v.Text, "thread `ProcessThread*` is gone: last seen as tid ") {
		t.Errorf("the request thread is dead: %s: %s", v.Cause, v.Text)
	}
	if mode, err := s.mode(); err != nil || mode != "standalone" {
		t.Errorf("srvr says %q, %v", mode, err)
	}
}
