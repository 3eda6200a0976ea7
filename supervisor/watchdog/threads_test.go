package watchdog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vigil-supervisor/vigil/internal/proctask"
	"github.com/vigil-supervisor/vigil/snapshot"
)

const ms = time.Millisecond

// threadsRig is a made-up program: threads with names, which move when they are
// told to.
type threadsRig struct {
	t     rapid.TB
	rules *ThreadRules
	now   time.Duration
	tasks []proctask.Task
	tids  int
	left  int
}

func judge(t rapid.TB, rules ...ThreadRule) *threadsRig {
	t.Helper()
	const boot = 1000 * s
	r, err := NewThreadRules(rules, boot)
	if err != nil {
		t.Fatal(err)
	}
	return &threadsRig{t: t, rules: r, now: boot, tids: 4710}
}

func (p *threadsRig) begin(comms ...string) {
	for _, comm := range comms {
		p.tids++
		p.tasks = append(p.tasks, proctask.Task{TID: p.tids, Start: uint64(p.now), Comm: comm, State: 'S', Switches: 100})
	}
}

func (p *threadsRig) end(comm string) {
	p.tasks = slices.DeleteFunc(p.tasks, func(task proctask.Task) bool { return task.Comm == comm })
}

func (p *threadsRig) move(comms ...string) {
	for i := range p.tasks {
		if slices.Contains(comms, p.tasks[i].Comm) {
			p.tasks[i].Switches++
		}
	}
}

// scan lets d pass, scans and judges.
func (p *threadsRig) scan(d time.Duration) []Verdict {
	p.now += d
	p.rules.ObserveScan(p.now, proctask.Scan{Tasks: slices.Clone(p.tasks), Total: len(p.tasks) + p.left, Left: p.left, Took: 100 * time.Microsecond})
	return p.rules.Check(p.now)
}

// quiet scans every 100 ms for d, and nothing may come of it.
func (p *threadsRig) quiet(d time.Duration, moving ...string) {
	p.t.Helper()
	for range d / (100 * ms) {
		p.move(moving...)
		if v := p.scan(100 * ms); len(v) > 0 {
			p.t.Fatalf("at %s unwanted: %+v", p.now, v)
		}
	}
}

// until scans every 100 ms until there is a verdict, which must be the only one.
func (p *threadsRig) until(to State, moving ...string) Verdict {
	p.t.Helper()
	for range 1000 {
		p.move(moving...)
		v := p.scan(100 * ms)
		if len(v) == 1 && v[0].To == to {
			return v[0]
		}
		if len(v) > 0 {
			p.t.Fatalf("at %s unwanted: %+v", p.now, v)
		}
	}
	p.t.Fatalf("never %s", to)
	return Verdict{}
}

func (p *threadsRig) says(v Verdict, text string) {
	p.t.Helper()
	if v.Text != text {
		p.t.Errorf("got  %s\nwant %s", v.Text, text)
	}
}

var processThread = ThreadRule{Name: "ProcessThread*", Within: 5 * s}

func TestThreadLost(t *testing.T) {
	p := judge(t, processThread)
	p.quiet(60 * s) // not armed: it has never been there
	p.begin("java", "ProcessThread(s")
	p.quiet(2 * s)
	p.end("ProcessThread(s")
	gone := p.now
	v := p.until(Suspect)
	p.says(v, "thread `ProcessThread*` is gone: last seen as tid 4712 (comm `ProcessThread(s`) 3.1s ago (limit 5s)")
	if v.Cause != snapshot.CauseThreadLost || v.Sign != "thread 1 (ProcessThread*)" || v.From != Healthy {
		t.Errorf("%+v", v)
	}
	if e, ok := p.rules.Evidence(); !ok || e.To != Suspect || e.Cause != snapshot.CauseThreadLost {
		t.Errorf("%+v %v", e, ok)
	}
	v = p.until(Confirmed)
	p.says(v, "thread `ProcessThread*` is gone: last seen as tid 4712 (comm `ProcessThread(s`) 5.1s ago (limit 5s)")
	if v.At-gone < 5*s {
		t.Errorf("after %s", v.At-gone)
	}
	p.quiet(10 * s)
	p.begin("ProcessThread(s")
	p.says(p.until(Healthy), "`ProcessThread*` is there again after 15s")
	if _, ok := p.rules.Evidence(); ok {
		t.Error("evidence without trouble")
	}
}

func TestThreadsFewerThanMinimum(t *testing.T) {
	p := judge(t, ThreadRule{Name: "NIOServerCxnFac", Minimum: 2, Within: 2 * s})
	p.begin("NIOServerCxnFac")
	p.quiet(10 * s)
	p.begin("NIOServerCxnFac")
	p.quiet(s)
	p.tasks = p.tasks[:1]
	p.until(Suspect)
	p.says(p.until(Confirmed), "only 1 of 2 threads of `NIOServerCxnFac` left for 2.1s (limit 2s); gone: tid 4712 (comm `NIOServerCxnFac`)")
}

func TestThreadReplacedIsThere(t *testing.T) {
	p := judge(t, ThreadRule{Name: "a*", Within: s})
	p.begin("a1")
	p.quiet(s)
	for i := range 20 { // another one each time, and a short gap
		p.tasks = nil
		p.quiet(500 * ms)
		p.begin(fmt.Sprint("a", i))
		p.quiet(100 * ms)
	}
}

func TestThreadUnless(t *testing.T) {
	p := judge(t, ThreadRule{Name: "ProcessThread*", Unless: "FollowerRequest", Within: 5 * s})
	p.begin("ProcessThread(s")
	p.quiet(s)
	p.end("ProcessThread(s")
	p.until(Suspect)
	p.begin("FollowerRequest")
	p.says(p.until(Healthy), "`ProcessThread*` is not judged: there is a thread of `FollowerRequest`")
	p.quiet(60 * s)
	p.end("FollowerRequest")
	at := p.now
	p.until(Suspect)
	if v := p.until(Confirmed); v.At-at < 5*s {
		t.Errorf("the limit is not whole: %s", v.At-at)
	}
}

func TestThreadRoles(t *testing.T) {
	p := judge(t, ThreadRule{Name: "ProcessThread*", Roles: []string{"leader", "standalone"}, Within: 5 * s})
	p.begin("ProcessThread(s")
	p.quiet(10 * s)
	p.rules.Role(p.now, "leader")
	p.quiet(10 * s)
	// It loses its role, and with it the thread; the report comes late.
	p.end("ProcessThread(s")
	p.quiet(20 * s)
	p.rules.Role(p.now, "follower")
	p.quiet(60 * s)
	p.rules.Role(p.now, "") // election
	p.quiet(20 * s)
	p.rules.Role(p.now, "leader") // without the thread: not at once, and not by this report
	p.quiet(20 * s)
	p.rules.Role(p.now, "leader")
	p.until(Suspect)
	p.until(Confirmed)
	p.rules.Role(p.now, "")
	v := p.rules.Check(p.now)
	if len(v) != 1 || v[0].To != Healthy {
		t.Fatalf("%+v", v)
	}
	p.says(v[0], "`ProcessThread*` is not judged: the service has no role")
}

func TestThreadNotJudgedByPartOfScan(t *testing.T) {
	p := judge(t, processThread)
	p.begin("ProcessThread(s")
	p.quiet(s)
	p.end("ProcessThread(s")
	p.left = 1
	p.quiet(60 * s)
}

func TestThreadAlwaysMoves(t *testing.T) {
	p := judge(t, ThreadRule{Name: "QuorumPeer[myid*", Progress: true, Within: 10 * s})
	p.quiet(30 * s) // no such thread
	p.begin("QuorumPeer[myid")
	p.quiet(30*s, "QuorumPeer[myid")
	v := p.until(Suspect)
	p.says(v, "no thread of `QuorumPeer[myid*` (tid 4711, comm `QuorumPeer[myid`, state S) has moved for 6s (limit 10s)")
	if v.Cause != snapshot.CauseThreadStuck {
		t.Errorf("%+v", v)
	}
	p.move("QuorumPeer[myid")
	p.says(p.until(Healthy), "`QuorumPeer[myid*` moved after 6.1s")
	p.until(Suspect)
	p.until(Confirmed)
	p.quiet(10 * s)
	p.end("QuorumPeer[myid")
	p.says(p.until(Healthy), "`QuorumPeer[myid*` is not judged: there is no such thread")
}

// One thread of a pool moves, or ends and is replaced: the pool moves.
func TestThreadPoolMoves(t *testing.T) {
	p := judge(t, ThreadRule{Name: "w*", Progress: true, Within: s})
	p.begin("w1", "w2", "w3")
	p.quiet(5*s, "w2")
	for i := range 10 {
		p.tasks = p.tasks[1:]
		p.quiet(500 * ms)
		p.begin(fmt.Sprint("w1", i))
		p.quiet(500 * ms)
	}
	// The time that it ran counts, also where it is never switched away from.
	for range 20 {
		p.tasks[0].Run += time.Second
		p.quiet(100 * ms)
	}
}

func pipeline() []ThreadRule {
	return []ThreadRule{
		{Name: "RequestThrottle", Progress: true, While: "serving", Within: 5 * s},
		{Name: "ProcessThread*|FollowerRequest", Progress: true, While: "serving", Within: 5 * s},
		{Name: "SyncThread:*", Progress: true, While: "serving", Within: 5 * s},
		{Name: "SyncThread:*", Progress: true, After: "serving", Within: 5 * s},
	}
}

var pipelineThreads = []string{"RequestThrottle", "ProcessThread(s", "SyncThread:0"}

// ask lets the probe ask after a scan, as the supervisor does.
func (p *threadsRig) ask(probe string) {
	p.t.Helper()
	p.quiet(100 * ms)
	p.rules.Demand(p.now, probe)
}

func TestThreadStuckWhileProbeWaits(t *testing.T) {
	p := judge(t, pipeline()...)
	p.begin(pipelineThreads...)
	p.quiet(60 * s) // idle
	for range 10 {  // healthy
		p.ask("serving")
		p.quiet(100*ms, pipelineThreads...)
		p.rules.Answered(p.now, "serving", true)
		p.quiet(10 * s)
	}
	p.ask("other")
	p.quiet(10 * s)
	p.ask("serving")
	asked := p.now
	p.quiet(100*ms, "RequestThrottle")
	p.quiet(1900 * ms)
	p.rules.Answered(p.now, "serving", false) // the probe's own time is over; the demand stays
	v := p.until(Suspect)
	p.says(v, "no thread of `ProcessThread*|FollowerRequest` (tid 4712, comm `ProcessThread(s`, state S) has moved for 23s, while probe `serving` waits for 3s (limit 5s); `RequestThrottle` moved once; also still: `SyncThread:*`")
	if v.Cause != snapshot.CauseThreadStuck || v.Sign != "thread 2 (ProcessThread*|FollowerRequest)" {
		t.Errorf("%+v", v)
	}
	p.ask("serving")
	v = p.until(Confirmed, "RequestThrottle")
	if v.At-asked < 5*s || v.At-asked > 5200*ms {
		t.Errorf("after %s", v.At-asked)
	}
	if !strings.Contains(v.Text, "while probe `serving` waits for 5s (limit 5s); `RequestThrottle` moved 2") {
		t.Error(v.Text)
	}
	p.quiet(5*s, "RequestThrottle")
	// The first one moves: then the next in order is the suspect.
	p.move("ProcessThread(s")
	p.now += 100 * ms
	p.rules.ObserveScan(p.now, proctask.Scan{Tasks: p.tasks})
	var got []string
	for p.rules.due = true; p.rules.due; {
		for _, v := range p.rules.Check(p.now) {
			got = append(got, fmt.Sprint(v.Sign, " ", v.To))
		}
	}
	want := []string{"thread 2 (ProcessThread*|FollowerRequest) healthy", "thread 3 (SyncThread:*) suspect", "thread 3 (SyncThread:*) confirmed"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	p.rules.Answered(p.now, "serving", true)
	p.says(p.until(Healthy, "SyncThread:0"), "probe `serving` was answered")
}

func TestThreadMovedAfterDemandIsNoSuspect(t *testing.T) {
	p := judge(t, pipeline()...)
	p.begin(pipelineThreads...)
	p.quiet(s)
	p.ask("serving")
	p.quiet(100*ms, "RequestThrottle", "ProcessThread(s")
	v := p.until(Suspect)
	if v.Sign != "thread 3 (SyncThread:*)" || !strings.HasSuffix(v.Text, "; `RequestThrottle` moved once, `ProcessThread*|FollowerRequest` moved once") {
		t.Errorf("%+v", v)
	}
}

// Where a thread is gone it is no wonder that others do nothing.
func TestThreadLostWhileProbeWaits(t *testing.T) {
	p := judge(t, append(pipeline(), ThreadRule{Name: "ProcessThread*", Within: 60 * s})...)
	p.begin(pipelineThreads...)
	p.quiet(s)
	p.end("ProcessThread(s")
	p.quiet(s)
	p.ask("serving")
	p.quiet(100*ms, "RequestThrottle")
	p.until(Suspect)
	v := p.until(Confirmed, "RequestThrottle")
	p.says(v, "thread `ProcessThread*` is gone: last seen as tid 4712 (comm `ProcessThread(s`) 6.1s ago (limit 1m0s); probe `serving` waits for 5s (limit 5s)")
	if v.Cause != snapshot.CauseThreadLost {
		t.Errorf("%+v", v)
	}
}

// A thread that hangs over the first question was woken by it. The second one
// shows that it is not the next one that stands still.
func TestThreadThatTookTheWork(t *testing.T) {
	p := judge(t, pipeline()...)
	p.begin(pipelineThreads...)
	p.quiet(s)
	p.ask("serving")
	p.quiet(100*ms, "RequestThrottle", "ProcessThread(s")
	p.rules.Answered(p.now, "serving", false)
	if asks := p.rules.Ask(); asks != nil {
		t.Errorf("%q", asks)
	}
	if v := p.until(Suspect); !strings.HasPrefix(v.Text, "no thread of `SyncThread:*` (") {
		t.Error(v.Text)
	}
	if asks := p.rules.Ask(); !slices.Equal(asks, []string{"serving"}) {
		t.Errorf("%q", asks)
	}
	p.ask("serving")
	if asks := p.rules.Ask(); asks != nil {
		t.Errorf("%q", asks)
	}
	p.quiet(100*ms, "RequestThrottle")
	p.rules.Answered(p.now, "serving", false)
	if asks := p.rules.Ask(); asks != nil {
		t.Errorf("%q", asks)
	}
	p.says(p.until(Confirmed), "no thread of `ProcessThread*|FollowerRequest` (tid 4712, comm `ProcessThread(s`, state S) has moved for 4.9s, while probe `serving` waits for 5s (limit 5s); `RequestThrottle` moved 2 times; also still: `SyncThread:*`")
}

// The answer is good, and one thread did nothing for it.
func TestThreadStuckAfterGoodAnswer(t *testing.T) {
	p := judge(t, pipeline()...)
	p.begin(pipelineThreads...)
	p.quiet(s)
	canary := func(moving ...string) {
		p.ask("serving")
		p.move(moving...)
		p.rules.Answered(p.now, "serving", true)
	}
	for range 5 { // it moves a little later than the answer
		canary("RequestThrottle", "ProcessThread(s")
		p.quiet(500 * ms)
		p.quiet(s, "SyncThread:0")
		p.quiet(10 * s)
	}
	canary("RequestThrottle", "ProcessThread(s")
	answered := p.now
	v := p.until(Suspect)
	p.says(v, "no thread of `SyncThread:*` (tid 4713, comm `SyncThread:0`, state S) has moved for 13s, though probe `serving` was answered 3s ago (limit 5s); `RequestThrottle` moved once, `ProcessThread*|FollowerRequest` moved once")
	canary("RequestThrottle", "ProcessThread(s")
	if v = p.until(Confirmed); v.At-answered < 5*s || v.At-answered > 5200*ms || v.Cause != snapshot.CauseThreadStuck {
		t.Errorf("%+v after %s", v, v.At-answered)
	}
	p.says(p.until(Healthy, "SyncThread:0"), "`SyncThread:*` moved after 5.1s")
	// A bad answer and a withdrawn question demand nothing.
	p.ask("serving")
	p.rules.Answered(p.now, "serving", false)
	p.ask("serving")
	p.rules.Withdrawn("serving")
	p.rules.Answered(p.now, "serving", true)
	p.quiet(2 * s)
}

func TestThreadWithdrawnDemand(t *testing.T) {
	p := judge(t, pipeline()[:3]...)
	p.begin(pipelineThreads...)
	for range 30 {
		p.ask("serving")
		p.rules.Withdrawn("serving")
		p.quiet(s)
	}
	// A demand from before stays.
	p.ask("serving")
	p.rules.Answered(p.now, "serving", false)
	p.ask("serving")
	p.rules.Withdrawn("serving")
	p.until(Suspect)
}

func TestThreadSuspendResume(t *testing.T) {
	p := judge(t, append(pipeline(), processThread, ThreadRule{Name: "SessionTracker", Progress: true, Within: 5 * s})...)
	p.begin(append(pipelineThreads, "SessionTracker")...)
	p.quiet(s, "SessionTracker")
	p.ask("serving")
	p.end("ProcessThread(s")
	for range 31 {
		p.scan(100 * ms)
	}
	p.rules.Suspend()
	if _, ok := p.rules.Next(); ok {
		t.Error("suspended, but a scan is due")
	}
	p.rules.Demand(p.now, "serving")
	p.quiet(100 * s)
	back := p.rules.Resume(p.now)
	if len(back) != 3 { // the throttler, the one that is gone, the one that always moves
		t.Errorf("%+v", back)
	}
	for _, v := range back {
		if v.To != Healthy || v.Text != "judged again from now on" {
			t.Errorf("%+v", v)
		}
	}
	at := p.now
	p.quiet(2800 * ms)
	p.ask("serving")
	for range 200 {
		for _, v := range p.scan(100 * ms) {
			if v.To == Confirmed && v.At-at < 5*s {
				t.Errorf("%s after the resumption: %+v", v.At-at, v)
			}
		}
	}
	if e, ok := p.rules.Evidence(); !ok || e.To != Confirmed {
		t.Errorf("%+v", e)
	}
}

// Whoever comes late still says suspect first, and learns that there is more.
func TestThreadLateCheck(t *testing.T) {
	p := judge(t, processThread)
	p.begin("ProcessThread(s")
	p.scan(s)
	p.end("ProcessThread(s")
	p.scan(s)
	if v := p.scan(60 * s); len(v) != 1 || v[0].To != Suspect {
		t.Fatalf("%+v", v)
	}
	if at, ok := p.rules.Next(); !ok || at > p.now {
		t.Errorf("%v %v", at, ok)
	}
	if v := p.rules.Check(p.now); len(v) != 1 || v[0].To != Confirmed {
		t.Fatalf("%+v", v)
	}
	if at, ok := p.rules.Next(); !ok || at <= p.now {
		t.Errorf("%v %v", at, ok)
	}
	if v := p.rules.Check(p.now + 100*s); v != nil {
		t.Errorf("%+v", v)
	}
}

// Time alone is no proof: without a scan nothing is judged.
func TestThreadNeedsScans(t *testing.T) {
	p := judge(t, processThread)
	p.begin("ProcessThread(s")
	p.scan(s)
	p.end("ProcessThread(s")
	p.scan(s)
	for range 100 {
		p.now += s
		p.rules.ScanFailed(p.now, errors.New("too many open files"))
		if v := p.rules.Check(p.now); v != nil {
			t.Fatalf("%+v", v)
		}
		if at, ok := p.rules.Next(); !ok || at <= p.now {
			t.Fatal("a scan that fails is tried without a pause")
		}
	}
	if l := p.rules.List(p.now); !strings.HasSuffix(l[0].Text, "; the last one failed: too many open files") {
		t.Error(l[0].Text)
	}
}

func TestThreadPace(t *testing.T) {
	period := func(took time.Duration, rules ...ThreadRule) (calm, near time.Duration) {
		p := judge(t, rules...)
		for _, at := range []*time.Duration{&calm, &near} {
			p.begin("ProcessThread(s")
			if at == &near {
				p.scan(s)
				p.tasks = nil
			}
			for range 50 {
				p.now += 10 * ms
				p.rules.ObserveScan(p.now, proctask.Scan{Tasks: p.tasks, Took: took})
			}
			*at, _ = p.rules.pace.period()
		}
		return calm, near
	}
	for _, tt := range []struct{ within, took, calm, near time.Duration }{
		{5 * s, 100 * time.Microsecond, 5 * s / 3, s},
		{60 * s, 100 * time.Microsecond, 4 * s, s},
		{2 * s, 100 * time.Microsecond, 2 * s / 3, 400 * ms},
		{100 * ms, 100 * time.Microsecond, 100 * ms, 100 * ms},
		{5 * s, 30 * ms, 3 * s, 3 * s},
		{5 * s, s, 5 * s, 5 * s},
	} {
		calm, near := period(tt.took, ThreadRule{Name: "ProcessThread*", Within: tt.within}, ThreadRule{Name: "x", Within: 100 * s})
		if calm != tt.calm || near.Round(ms) != tt.near {
			t.Errorf("within %s, a scan of %s: every %s, %s in trouble; want %s, %s", tt.within, tt.took, calm, near, tt.calm, tt.near)
		}
	}
	p := judge(t, processThread)
	if at, ok := p.rules.Next(); !ok || at != p.now {
		t.Errorf("the first scan is due at %v, %v", at, ok)
	}
	p.begin("ProcessThread(s")
	p.scan(s)
	p.end("ProcessThread(s")
	p.scan(s)
	gone := p.now
	for _, want := range []time.Duration{3 * s, 5 * s} { // exactly at the limits, whatever the grid
		for {
			at, ok := p.rules.Next()
			if !ok || at > gone+want {
				t.Fatalf("%v %v", at, ok)
			}
			if at == gone+want {
				break
			}
			p.scan(at - p.now)
		}
		p.scan(gone + want - p.now)
	}
	if p.rules.rules[0].state != Confirmed {
		t.Error("not confirmed at the limit")
	}
	if none := judge(t); true {
		if _, ok := none.rules.Next(); ok {
			t.Error("a scan for no rules")
		}
	}
}

func TestThreadList(t *testing.T) {
	p := judge(t, append(pipeline(), ThreadRule{Name: "x*", Minimum: 3, Within: s}, ThreadRule{Name: "y", Roles: []string{"leader"}, Within: s})...)
	p.begin(append(pipelineThreads, "x1", "y")...)
	p.quiet(s)
	p.ask("serving")
	p.rules.Suspend()
	var got []string
	for _, l := range p.rules.List(p.now + s) {
		got = append(got, fmt.Sprintf("%s %s %s %s %v: %s", l.Name, l.Kind, l.State, l.Age, l.Suspended, l.Text))
	}
	want := []string{
		"RequestThrottle thread healthy 1s true: 1 thread, moved once; probe `serving` waits",
		"ProcessThread*|FollowerRequest thread healthy 1s true: 1 thread, moved once; probe `serving` waits",
		"SyncThread:* thread healthy 1s true: 1 thread, moved once; probe `serving` waits",
		"SyncThread:* thread healthy 0s true: 1 thread, moved once",
		"x* thread healthy 0s true: 1 of 3 seen so far",
		"y thread healthy 1s true: 1 thread; not judged: no role is reported yet; a scan every 333ms takes 100µs",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	p = judge(t, processThread)
	p.begin("ProcessThread(s")
	p.rules.ObserveScan(p.now, proctask.Scan{Tasks: p.tasks, Took: 30 * ms})
	if l := p.rules.List(p.now); l[0].Text != "1 thread; a scan every 3s takes 30ms, so they are fewer" {
		t.Error(l[0].Text)
	}
}

func TestThreadRulesRefused(t *testing.T) {
	for _, tt := range []struct {
		rule ThreadRule
		want string
	}{
		{ThreadRule{Name: "a", Within: 0}, "within is not positive"},
		{ThreadRule{Name: "CommitProcessor:1", Within: s}, "can never match"},
		{ThreadRule{Name: "a", Unless: "b|", Within: s}, "an alternative is empty"},
		{ThreadRule{Name: "a", While: "p", Within: s}, "progress"},
		{ThreadRule{Name: "a", Progress: true, While: "p", After: "p", Within: s}, "exclude"},
		{ThreadRule{Name: "a", Progress: true, Minimum: 2, Within: s}, "minimum"},
	} {
		if _, err := NewThreadRules([]ThreadRule{tt.rule}, 0); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt.rule, err)
		}
	}
	if _, err := NewThreadRules(make([]ThreadRule, MaxThreadRules+1), 0); !errors.Is(err, ErrTooManyRules) {
		t.Error(err)
	}
}
