package supervisor

import (
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// endMargin is for the end of a program that was killed when its time to end by
// itself was over.
const endMargin = 5 * time.Second

// awaitsEnd reports whether the incident has all but the end of its target,
// which is to end by itself.
func (j *job) awaitsEnd() bool {
	v := j.v
	if !j.farewell || j.writing == nil || j.incident.Exit != nil || v == nil || !v.life.Alive || v.life.Instance != j.incident.Instance {
		return false
	}
	now := clock.Boot()
	if j.endBy == 0 {
		j.endBy = max(v.life.Deadline, now) + endMargin
	}
	return now < j.endBy
}

// finishLate completes the incidents whose target does not end at all.
func (q *jobs) finishLate(now time.Duration) {
	for _, j := range append([]*job(nil), q.all...) {
		if j.endBy > 0 && now >= j.endBy {
			j.finish()
		}
	}
}

// ended takes the end of a program for the incident that waits for it.
func (q *jobs) ended(v *service, exit *protocol.Exit) {
	for _, j := range append([]*job(nil), q.all...) {
		if !j.farewell || j.over || j.v != v || j.incident.Instance != v.life.Instance || j.incident.Exit != nil {
			continue
		}
		j.incident.Exit = exitOf(exit)
		j.verdict += "; it then ended with " + describeEnd(endOf(exit))
		j.save()
		if j.endBy > 0 {
			j.finish()
		}
	}
}
