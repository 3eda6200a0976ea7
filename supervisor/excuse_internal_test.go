package supervisor

import (
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// A starved machine explains a thread that does not move, and not one that is
// gone; somebody who holds the process explains both.
func TestLostThreadIsGrantedNothing(t *testing.T) {
	const at = time.Minute
	for _, c := range []struct {
		cause snapshot.Cause
		found watchdog.ExcuseKind
		want  bool
	}{
		{snapshot.CauseThreadLost, watchdog.Grant, false},
		{snapshot.CauseThreadStuck, watchdog.Grant, true},
		{snapshot.CauseThreadLost, watchdog.Hold, true},
	} {
		v := &service{}
		e := watchdog.Excuse{Kind: c.found, Name: "starved"}
		// Looked at and decided already, and held already: nothing is asked anew.
		v.excuses.askedAt, v.excuses.found = at, e
		v.excuses.decidedAt, v.excuses.decided = at, e
		v.excuses.hold = "stopped"
		d := watchdog.Verdict{To: watchdog.Confirmed, Cause: c.cause, At: at, Text: "x"}
		if got := v.excused(&d); got != c.want {
			t.Errorf("%s, %v: excused %v", c.cause, c.found, got)
		}
	}
}
