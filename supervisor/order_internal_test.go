package supervisor

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/order"
)

// TestLate: who waits for the end of a service does so for its own time, and
// for a while after its kill.
func TestLate(t *testing.T) {
	at := clock.Boot()
	for _, c := range []struct {
		name   string
		life   lifecycle.Service
		killed uint64
		want   time.Duration
	}{
		{"running", lifecycle.Service{State: lifecycle.Running, Alive: true, Instance: 3}, 2, 0},
		{"asked to end", lifecycle.Service{State: lifecycle.Stopping, Alive: true, Asked: true, Instance: 3, Deadline: at + time.Hour}, 2, 0},
		{"killed", lifecycle.Service{State: lifecycle.Stopping, Alive: true, Asked: true, Instance: 3}, 3, at + lateKill},
		{"killed and gone", lifecycle.Service{State: lifecycle.Stopped, Instance: 3}, 3, 0},
		{"killed and waiting", lifecycle.Service{State: lifecycle.Backoff, Up: true, Instance: 3}, 3, 0},
		{"start without an answer", lifecycle.Service{State: lifecycle.Starting, Pending: true, Instance: 3, StartedAt: at}, 2, at + lateStart},
		{"nothing yet", lifecycle.Service{}, 0, 0},
	} {
		v := &service{life: c.life, order: inOrder{killed: c.killed, killedAt: at}}
		if got := v.lateAt(); got != c.want {
			t.Errorf("%s: late at %v, not %v", c.name, got-at, c.want-at)
		}
		if c.want == 0 {
			continue
		}
		if v.standing(c.want-1).Late || !v.standing(c.want).Late {
			t.Errorf("%s: late before its time, or not then", c.name)
		}
	}
}

// TestLateIsNoticed: the loop looks when somebody becomes late, once.
func TestLateIsNoticed(t *testing.T) {
	now := clock.Boot()
	s := &Supervisor{log: zap.NewNop(), services: map[string]*service{}}
	web := &service{s: s, cfg: config.Service{Name: "web", Requires: []string{"db"}}, life: lifecycle.Service{State: lifecycle.Stopping, Alive: true, Asked: true, Instance: 1}}
	db := &service{s: s, cfg: config.Service{Name: "db"}, life: lifecycle.Service{State: lifecycle.Running, Ready: true, Up: true, Alive: true, Instance: 1}}
	s.services["web"], s.services["db"] = web, db
	web.order.killed, web.order.killedAt = 1, now-lateKill+time.Minute
	db.order.Down, db.order.later = order.Stop, true
	down := func() []string {
		return s.graph().Plan(func(name string) order.Standing { return s.services[name].standing(now) }).Down
	}
	if web.lookLate(now); s.order.due || web.nextLate() != now+time.Minute || len(down()) != 0 {
		t.Fatalf("late already: next %v, down %v", web.nextLate()-now, down())
	}
	now += time.Minute
	if web.lookLate(now); !s.order.due || web.nextLate() != 0 || len(down()) != 1 || len(s.events.list) != 1 {
		t.Fatalf("not late: next %v, down %v, events %v", web.nextLate(), down(), s.events.list)
	}
	s.order.due = false
	if web.lookLate(now); s.order.due || len(s.events.list) != 1 {
		t.Fatal("noticed twice")
	}
}
