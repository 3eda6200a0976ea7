package watchdog

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/psi"
)

// Bounds of one look, and of what is remembered of former ones.
const (
	// MaxLooked is how many threads of a process are looked at.
	MaxLooked = 256

	maxAncestors  = 32              // directories from a cgroup up
	maxRemembered = 1024            // processes
	rememberFor   = 5 * time.Minute // a share of a longer time says little of the last limit
	// A share of a shorter time is one of a few context switches.
	minWindow = 500 * time.Millisecond
	// The window of avg10 in a pressure file, for a first look.
	avgWindow = 10 * time.Second
)

// Looker collects Facts. It remembers the totals of the last looks, so that
// shares are of the time since. It is owned by one goroutine; a look takes well
// under a millisecond for a small process, and reads only what the kernel tells
// without waiting for the process.
type Looker struct {
	read    reader
	clocks  func() (boot, ahead time.Duration) // CLOCK_BOOTTIME, and what it is ahead of CLOCK_MONOTONIC
	ahead   time.Duration                      // at the last Baseline
	machine [2]psi.Totals                      // of Baselines, the newer one first
	known   map[int]*subject                   // by pid
}

// subject is what is remembered of one process.
type subject struct {
	start uint64
	marks [2]mark // of looks, the newer one first
}

// mark is what one look counted.
type mark struct {
	at       time.Duration // 0: none
	pressure psi.Totals
	throttle throttle
	faults   uint64
	threads  map[int]thread
}

// NewLooker returns a Looker that has seen nothing yet but the clocks and the
// pressure of the machine.
func NewLooker() *Looker { return newLooker(clocks) }

func newLooker(clocks func() (boot, ahead time.Duration)) *Looker {
	l := &Looker{clocks: clocks, known: map[int]*subject{}}
	_, l.ahead = clocks()
	l.Baseline()
	return l
}

// Baseline takes the totals of the machine, so that the next looks are about
// the time since, and returns for how long the machine was suspended since the
// last Baseline: when that is not zero, all signs deserve their whole limits
// again. To be called every other second or so; it costs four small reads.
func (l *Looker) Baseline() (suspended time.Duration) {
	now, ahead := l.clocks()
	suspended = growth(ahead, l.ahead)
	l.ahead = ahead
	if t := l.read.machine(now); l.machine[0].At == 0 || now-l.machine[0].At >= minWindow {
		l.machine = [2]psi.Totals{t, l.machine[0]}
	}
	for pid, s := range l.known {
		if now-s.marks[0].at > rememberFor {
			delete(l.known, pid)
		}
	}
	return suspended
}

// growth ignores what comes from reading two clocks one after the other.
func growth(now, before time.Duration) time.Duration {
	if d := now - before; d >= minSuspended {
		return d
	}
	return 0
}

// Look collects what there is to know of the process pid, the first one of a
// service, that has the cgroup at this directory to itself ("" if it has none),
// when our own timer was late by so much. Facts that cannot be had are zero: of
// a process that is gone, all of its own.
func (l *Looker) Look(pid int, cgroup string, late time.Duration) Facts {
	now, ahead := l.clocks()
	f := Facts{Late: max(late, 0), Suspended: growth(ahead, l.ahead)}
	l.lookMachine(&f, now)
	stat, ok := l.read.process(pid)
	if !ok {
		return f
	}
	f.State = stat.state
	f.Frozen = l.frozen(pid, stat.state, cgroup)
	l.lookTracer(&f, pid, cgroup)

	m := mark{at: now, faults: stat.faults}
	if cgroup != "" {
		m.pressure = l.read.pressures(cgroup, ".pressure", now)
		m.throttle = l.read.throttle(cgroup)
	}
	m.threads = l.read.threads(pid, !m.pressure.Known)
	s := l.subject(pid, stat.start)
	l.lookThreads(&f, pid, m.threads, s)
	f.compare(m, s.before(now))
	s.keep(m)
	return f
}

func (l *Looker) lookMachine(f *Facts, now time.Duration) {
	t := l.read.machine(now)
	before := l.machine[0]
	if now-before.At < minWindow {
		before = l.machine[1]
	}
	f.Machine = t.Since(before)
}

func (l *Looker) subject(pid int, start uint64) *subject {
	s := l.known[pid]
	if s == nil || s.start != start {
		s = &subject{start: start}
		if _, there := l.known[pid]; there || len(l.known) < maxRemembered {
			l.known[pid] = s
		}
	}
	return s
}

// before is the mark that a look at now is compared with.
func (s *subject) before(now time.Duration) mark {
	for _, m := range s.marks {
		if m.at != 0 && now-m.at >= minWindow && now-m.at <= rememberFor {
			return m
		}
	}
	return mark{}
}

func (s *subject) keep(m mark) {
	if s.marks[0].at == 0 || m.at-s.marks[0].at >= minWindow {
		s.marks = [2]mark{m, s.marks[0]}
	}
}

// compare sets the shares since the mark before.
func (f *Facts) compare(m, before mark) {
	f.Window = avgWindow
	f.Service = m.pressure.Since(before.pressure)
	if before.at == 0 {
		return
	}
	f.Window = m.at - before.at
	f.Throttled = m.throttle.since(before.throttle, f.Window)
	f.MajorFaults = float64(m.faults-min(before.faults, m.faults)) / f.Window.Seconds()
	for tid, t := range m.threads {
		if was, ok := before.threads[tid]; ok && t.start == was.start && t.delay > was.delay {
			f.Delay = max(f.Delay, psi.Share(t.delay-was.delay, f.Window))
		}
	}
}

func (l *Looker) lookThreads(f *Facts, pid int, threads map[int]thread, s *subject) {
	waiting := 0
	for tid, t := range threads {
		f.Threads++
		switch t.state {
		case 'T':
			f.Stopped++
		case 't':
			f.TracedStops++
		case 'D':
			// One that was given a processor since has only begun to wait again.
			if was, ok := s.marks[0].threads[tid]; ok && was.start == t.start && (was.state != 'D' || was.switches != t.switches) {
				continue
			}
			f.Uninterruptible++
			if waiting == 0 || tid == pid || waiting != pid && tid < waiting {
				waiting = tid
			}
		}
	}
	if waiting != 0 {
		f.Wchan = l.read.wchan(pid, waiting)
	}
}

// lookTracer looks at the first thread: debuggers attach to all of them. One
// that was started by the service itself is part of it, and excuses nothing.
func (l *Looker) lookTracer(f *Facts, pid int, cgroup string) {
	if f.TracerPID = l.read.tracer(pid); f.TracerPID == 0 {
		return
	}
	f.Tracer = l.read.comm(f.TracerPID)
	if cgroup == "" {
		return
	}
	own, others := l.read.group(pid), l.read.group(f.TracerPID)
	f.TracerOwn = own != "" && (others == own || strings.HasPrefix(others, own+"/"))
}

// frozen says what proves that the process is frozen. A group freezes those
// below it too.
func (l *Looker) frozen(pid int, state byte, cgroup string) string {
	if cgroup != "" && l.read.keyed(cgroup+"/cgroup.events", "frozen") == 1 {
		for dir, n := filepath.Clean(cgroup), 0; n < maxAncestors && len(dir) > 1; dir, n = filepath.Dir(dir), n+1 {
			if l.read.word(dir+"/cgroup.freeze") == "1" {
				return "by cgroup.freeze of " + dir
			}
		}
		return "as cgroup.events says of " + cgroup
	}
	if at := l.read.wchan(pid, pid); frozenAt(state, at) {
		return "in the kernel, at " + at
	}
	if state != 'D' {
		return ""
	}
	// The freezer of cgroup v1 lets a thread that may be frozen where it waits stay
	// there (TASK_FROZEN, since Linux 6.1): the place does not tell.
	if dir := l.read.oldFreezer(pid); dir != "" && l.read.word(dir+"/freezer.state") == "FROZEN" {
		return "by freezer.state of " + dir
	}
	return ""
}

// frozenAt finds one that is frozen in a group that is not known to be its own:
// by that of a container, or by cgroup v1.
func frozenAt(state byte, wchan string) bool {
	switch wchan {
	case "do_freezer_trap", "__refrigerator": // kernel/signal.c, kernel/freezer.c
		return true
	case "get_signal":
		// do_freezer_trap as a part of its caller. The other sleeps there are
		// stops, which are T and t.
		return state == 'S'
	}
	return false
}

// clocks reads both clocks. When we lose the processor in between, they seem
// further apart than they are, so it tries again.
func clocks() (boot, ahead time.Duration) {
	const near, tries = time.Millisecond, 10
	for range tries {
		before := clockOf(unix.CLOCK_MONOTONIC)
		boot = clockOf(unix.CLOCK_BOOTTIME)
		after := clockOf(unix.CLOCK_MONOTONIC)
		ahead = boot - after
		if after-before < near {
			break
		}
	}
	return boot, ahead
}

func clockOf(clock int32) time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(clock, &ts) // of a known clock into our own memory: cannot fail
	return time.Duration(ts.Nano())
}

// procDir of a process.
func procDir(pid int) string { return "/proc/" + strconv.Itoa(pid) }
