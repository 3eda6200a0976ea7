package supervisor

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// eventRing keeps the newest events, and tells followers of new ones. The loop
// owns it; a follower that does not keep up loses events and is told how many.
type eventRing struct {
	seq       uint64
	list      []control.Event
	log       *eventLog                      // nil: they end with us
	followers map[chan control.Event]*uint64 // value: how many it lost
}

func (r *eventRing) add(e control.Event) control.Event {
	r.seq++
	e.Seq = r.seq
	r.list = append(r.list, e)
	if len(r.list) > maxEvents {
		r.list = append(r.list[:0:0], r.list[len(r.list)-maxEvents:]...)
	}
	for ch, lost := range r.followers {
		select {
		case ch <- e:
		default:
			*lost++
		}
	}
	return e
}

func (r *eventRing) follow() chan control.Event {
	if r.followers == nil {
		r.followers = map[chan control.Event]*uint64{}
	}
	ch := make(chan control.Event, 256)
	r.followers[ch] = new(uint64)
	return ch
}

func (r *eventRing) unfollow(ch chan control.Event) { delete(r.followers, ch) }

// event records something that happened: in the ring, in the service's
// timeline, in the log.
func (s *Supervisor) event(service, kind, text string) {
	now := time.Now().UTC()
	s.logEvent(s.events.add(control.Event{Time: now, Service: service, Kind: kind, Text: text}))
	name := ""
	if v, ok := s.services[service]; ok {
		name = service + ": "
		shown, _ := snapshot.MaskText(text)
		v.timeline.add(snapshot.Moment{Time: now, Boot: clock.Boot(), Kind: kind, Text: shown})
	}
	switch kind {
	case "verdict", "alert", "refused", "dropped":
		s.log.Warn(name+text, zap.String("kind", kind))
	default:
		s.log.Info(name+text, zap.String("kind", kind))
	}
}

// timeline is the newest moments of one service.
type timeline struct{ list []snapshot.Moment }

func (t *timeline) add(m snapshot.Moment) {
	t.list = append(t.list, m)
	if len(t.list) > maxTimeline {
		t.list = append(t.list[:0:0], t.list[len(t.list)-maxTimeline/2:]...)
	}
}

func (t *timeline) has(at time.Time, text string) bool {
	return slices.ContainsFunc(t.list, func(m snapshot.Moment) bool { return m.Text == text && m.Time.Equal(at) })
}

func (t *timeline) copy() []snapshot.Moment { return append([]snapshot.Moment(nil), t.list...) }

// moment is a moment of now.
func (s *Supervisor) moment(kind, text string) snapshot.Moment {
	text, _ = snapshot.MaskText(text) // a service may say anything of itself
	return snapshot.Moment{Time: time.Now().UTC(), Boot: clock.Boot(), Kind: kind, Text: text}
}
