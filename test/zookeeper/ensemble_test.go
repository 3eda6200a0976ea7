package zookeeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// supervised is an ensemble of three servers, each under a vigil of its own as on
// three machines.
type supervised struct {
	t       *testing.T
	members []*vigil
	rows    []row
}

// row is one line of the table of faults.
type row struct {
	fault, verdict    string
	toVerdict, toGood time.Duration
	silent            time.Duration // the longest time without a good write by any server
	restarted         string
}

const ensembleConfig = examples + "/ensemble.toml"

func supervise(t *testing.T, edits ...edit) *supervised {
	t.Helper()
	e := &supervised{t: t}
	for _, s := range three(t) {
		s.supervise(t, ensembleConfig, append(edits, edit{"127.0.0.1:2181", s.address})...)
		e.members = append(e.members, up(t, s))
	}
	for _, v := range e.members {
		v.server.serves(t, "/first")
	}
	e.settle()
	return e
}

// superviseAlone is one server that has no peers.
func superviseAlone(t *testing.T, edits ...edit) *supervised {
	t.Helper()
	e := &supervised{t: t}
	e.members = append(e.members, up(t, place(t, "standalone.toml", edits...)))
	e.settle()
	return e
}

func (e *supervised) servers() []*server {
	var all []*server
	for _, v := range e.members {
		all = append(all, v.server)
	}
	return all
}

// settle waits until every server serves, is ready, and knows its role.
func (e *supervised) settle() {
	e.t.Helper()
	eventuallyEvery(e.t, seldom, mostServe, "an ensemble that serves", func() error {
		for _, v := range e.members {
			if err := v.server.put(mostSession, "/settled"); err != nil {
				return err
			}
			s, err := v.service()
			if err != nil {
				return err
			}
			if s.State != "running" {
				return fmt.Errorf("%s is %s", v.server.address, s.State)
			}
			for _, sign := range s.Signs {
				if strings.Contains(sign.Text, "no role is reported yet") || sign.State != "healthy" {
					return fmt.Errorf("%s: %s is %s: %s", v.server.address, sign.Name, sign.State, sign.Text)
				}
			}
		}
		return nil
	})
}

func (v *vigil) service() (control.Service, error) {
	var list []control.Service
	if err := v.read(&list, "status", "--json"); err != nil {
		return control.Service{}, err
	}
	if len(list) != 1 {
		return control.Service{}, fmt.Errorf("%d services", len(list))
	}
	return list[0], nil
}

// leader returns the member that leads, and the others.
func (e *supervised) leader() (leader *vigil, others []*vigil) {
	e.t.Helper()
	eventually(e.t, mostServe, "a leader", func() error {
		leader, others = nil, nil
		for _, v := range e.members {
			if mode, err := v.server.mode(); err == nil && (mode == "leader" || mode == "standalone") {
				leader = v
			} else {
				others = append(others, v)
			}
		}
		if leader == nil || len(others) != len(e.members)-1 {
			return errors.New("not one leader")
		}
		return nil
	})
	return leader, others
}

func (v *vigil) events(t *testing.T) []control.Event {
	t.Helper()
	out, complaint, err := v.command("events", "--json")
	if err != nil {
		t.Fatalf("%v: %s", err, complaint)
	}
	var all []control.Event
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var e control.Event
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// verdict waits for the first verdict after a time.
func (v *vigil) verdict(t *testing.T, after time.Time) control.Event {
	t.Helper()
	var found control.Event
	eventuallyEvery(t, seldom, mostServe, "a verdict", func() error {
		for _, e := range v.events(t) {
			if (e.Kind == "verdict" || e.Kind == "exit") && e.Time.After(after) {
				found = e
				return nil
			}
		}
		return errors.New("there is none")
	})
	return found
}

// instances are the starts of all members so far.
func (e *supervised) instances() []uint64 {
	e.t.Helper()
	var all []uint64
	for _, v := range e.members {
		s, err := v.service()
		if err != nil {
			e.t.Fatal(err)
		}
		all = append(all, s.Instance)
	}
	return all
}

// suffer does harm to the leader and sees that its own vigil, and no other one,
// starts it again for the cause.
func (e *supervised) suffer(t *testing.T, fault string, cause snapshot.Cause, harm func(t *testing.T, leader *vigil, pid int)) {
	t.Helper()
	e.settle()
	leader, _ := e.leader()
	before := e.instances()
	old, err := leader.service()
	if err != nil {
		t.Fatal(err)
	}
	w := startWriters(t, e.servers()...)
	eventually(t, mostServe, "good writes", func() error {
		for _, s := range e.servers() {
			if _, ok := w.first(time.Time{}, s); !ok {
				return errors.New("there are none")
			}
		}
		return nil
	})
	from := time.Now()
	harm(t, leader, old.PID)
	begin := time.Now()
	v := leader.verdict(t, from)
	r := row{fault: fault, verdict: v.Text, toVerdict: v.Time.Sub(begin)}
	eventually(t, mostServe, "a good write", func() error {
		good, ok := w.first(v.Time, nil)
		if !ok {
			return errors.New("there is none")
		}
		r.toGood = good.ended.Sub(v.Time)
		return nil
	})
	e.settle()
	w.end()
	forgetAttach(old.PID)
	r.silent = w.longest(begin)
	for i, n := range e.instances() {
		who := e.members[i]
		if n != before[i] {
			r.restarted += fmt.Sprintf("server %d ", i+1)
		}
		if (n != before[i]) != (who == leader) || n > before[i]+1 {
			t.Errorf("server %d of which the leader was broken: instance %d, before %d", i+1, n, before[i])
			t.Logf("events:\n%s", who.try("events"))
		}
	}
	byItself := v.Kind == "exit" && fault == heapExhausted.fault // some JVMs end before anybody can judge them
	if !byItself && !strings.HasPrefix(v.Text, string(cause)+": ") {
		t.Errorf("the verdict is %q, want %s", v.Text, cause)
	}
	e.rows = append(e.rows, r)
	t.Log(r)
	if r.toGood > 10*time.Second {
		for _, event := range leader.events(t) {
			if event.Time.After(begin) {
				t.Logf("%6s %s %s", event.Time.Sub(begin).Round(10*time.Millisecond), event.Kind, event.Text)
			}
		}
	}
}

func (r row) String() string {
	return fmt.Sprintf("%-40s verdict after %6s, good write %6s later, no write for %6s; restarted %s; %s", r.fault,
		r.toVerdict.Round(10*time.Millisecond), r.toGood.Round(time.Millisecond), r.silent.Round(10*time.Millisecond), r.restarted, r.verdict)
}

func order(order string) func(*testing.T, *vigil, int) {
	return func(t *testing.T, _ *vigil, pid int) { fault(t, pid, order) }
}

// zombie is what a server needs to be poisoned as in the story: jute.maxbuffer as
// people raise it, and no exit by itself when memory is short.
var zombie = []edit{{`"-Xmx512m",`, `"-Xmx256m", "-Djute.maxbuffer=1000000000",`}, {`"-XX:+ExitOnOutOfMemoryError",`, ""}}

// harm is one way to break a server.
type harm struct {
	fault string
	cause snapshot.Cause
	do    func(*testing.T, *vigil, int)
}

var (
	requestFrozen = harm{"request thread frozen", snapshot.CauseThreadStuck, order("suspend:ProcessThread")}
	requestDead   = harm{"request thread dies and nobody is told", snapshot.CauseThreadLost, func(t *testing.T, leader *vigil, pid int) {
		fault(t, pid, "silence:ProcessThread")
		if err := leader.server.poison(500 * time.Millisecond); err == nil {
			t.Error("the server has ended")
		}
	}}
	acceptDead   = harm{"accept thread dies, port closed", snapshot.CauseThreadLost, order("stop:NIOServerCxnFactory.AcceptThread")}
	syncFrozen   = harm{"sync thread frozen", snapshot.CauseThreadStuck, order("suspend:SyncThread")}
	commitFrozen = harm{"commit processor frozen", snapshot.CauseThreadStuck, order("suspend:CommitProcessor")}
	// The thread that selects or the one that accepts dies of it.
	heapExhausted = harm{"heap exhausted, process lives", snapshot.CauseThreadLost, order("exhaust:")}
)

// all does one harm after another, each time to whoever leads.
func (e *supervised) all(t *testing.T, list ...harm) {
	for _, h := range list {
		if !t.Run(h.fault, func(t *testing.T) { e.suffer(t, h.fault, h.cause, h.do) }) {
			break
		}
	}
	for _, r := range e.rows {
		t.Log(r)
	}
}

func TestEnsembleFaults(t *testing.T) {
	requireAgent(t)
	t.Parallel()
	supervise(t, zombie...).all(t, requestFrozen, syncFrozen, commitFrozen, requestDead, acceptDead, heapExhausted)
}

func TestStandaloneFaults(t *testing.T) {
	requireAgent(t)
	t.Parallel()
	superviseAlone(t, zombie...).all(t, requestFrozen, requestDead, acceptDead)
}

// quiet sees that no member was judged since a time; with hard, that it was not even
// suspected. Else only a thread may not be: a canary that fails at an election is
// right.
func (e *supervised) quiet(t *testing.T, when string, from time.Time, hard bool) {
	t.Helper()
	for _, v := range e.members {
		for _, event := range v.events(t) {
			suspected := event.Kind == "suspect" && (hard || strings.Contains(event.Text, "thread"))
			if event.Time.After(from) && (event.Kind == "verdict" || suspected) {
				t.Errorf("%s, %s: %s %s", when, v.server.address, event.Kind, event.Text)
			}
		}
	}
}

// What must not end in a restart.
func TestEnsembleIsLeftAlone(t *testing.T) {
	requireAgent(t)
	t.Parallel()
	e := supervise(t)
	begin, before := time.Now(), e.instances()
	<-time.After(time.Minute)
	e.quiet(t, "idle", begin, true)
	if now := e.instances(); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("instances %v, before %v", now, before)
	}
	t.Run("election", func(t *testing.T) {
		begin := time.Now()
		leader, others := e.leader()
		leader.ask("stop", "zookeeper")
		for _, v := range others {
			v.server.serves(t, "/elected")
		}
		leader.ask("start", "zookeeper")
		e.settle()
		e.quiet(t, "at an election", begin, false)
	})
	t.Run("process stopped", func(t *testing.T) { e.stopped(t) })
	t.Run("quorum lost", func(t *testing.T) { e.lonely(t) })
}

// stopped: an operator stops the leader's process. The others elect a new one, and
// nobody kills the old one.
func (e *supervised) stopped(t *testing.T) {
	e.settle()
	leader, others := e.leader()
	old, err := leader.service()
	if err != nil {
		t.Fatal(err)
	}
	before := e.instances()
	if err := unix.Kill(old.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Kill(old.PID, unix.SIGCONT) }()
	begin := time.Now()
	for _, v := range others {
		v.server.serves(t, "/without")
	}
	t.Logf("others serve after %s", time.Since(begin).Round(10*time.Millisecond))
	if d := 12*time.Second - time.Since(begin); d > 0 {
		<-time.After(d)
	}
	if err := unix.Kill(old.PID, unix.SIGCONT); err != nil {
		t.Fatalf("cannot continue it: %v", err)
	}
	e.settle()
	if now := e.instances(); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("instances %v, before %v", now, before)
		t.Logf("events:\n%s", leader.try("events"))
	}
	for _, v := range e.members {
		for _, event := range v.events(t) {
			if event.Time.After(begin) {
				t.Logf("%s: %s %s", v.server.address, event.Kind, event.Text)
			}
		}
	}
}

// lonely: two of three servers are stopped. The third can do nothing for anybody,
// and it is not its fault.
func (e *supervised) lonely(t *testing.T) {
	e.settle()
	leader, others := e.leader()
	begin, before := time.Now(), e.instances()
	rest := others[0]
	for _, v := range []*vigil{leader, others[1]} {
		v.ask("stop", "zookeeper")
	}
	<-time.After(20 * time.Second)
	s, err := rest.service()
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range e.members {
		if v == rest && s.Instance != before[i] {
			t.Errorf("the third was started again: %+v", s)
		}
	}
	for _, event := range rest.events(t) {
		if event.Time.After(begin) {
			t.Logf("%s: %s %s", rest.server.address, event.Kind, event.Text)
			if event.Kind == "verdict" {
				t.Errorf("a verdict: %s", event.Text)
			}
		}
	}
	for _, v := range []*vigil{leader, others[1]} {
		v.ask("start", "zookeeper")
	}
	e.settle()
}
