package watchdog

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// ActivityOptions say how activities are judged.
type ActivityOptions struct {
	Timeout time.Duration // of a busy activity without one of its own; 0: never judged
	Stop    time.Duration // of an activity that is stopping
	Share   float64       // of a timeout, after which an activity is suspect; 0: 0.6
	// Who says more of the thread with which an activity is busy, for a text:
	// its name, and whether its process has ended for sure. May be nil.
	Who func(pid, tid uint32) (comm string, ended bool)
}

// Bounds of scanning. A period is a share of the smallest timeout, so that a
// verdict is late by no more than that.
const (
	scanShare     = 20
	shortestScan  = 10 * time.Millisecond
	longestScan   = time.Second
	maxActivities = 8 // verdicts of one scan; the others are counted in their text
	maxListed     = 128
	// A claim takes microseconds. One that is not over by now was broken off, by
	// the end of its thread, or is garbage.
	longestClaim = int64(10 * time.Second)
)

// Activities judges the named activities of one instance. The slots are the
// word of the program: garbage in them is counted, and harms nobody.
//
// A beat is a change of a slot's pulse between two scans, dated by the later
// one. So nothing is ever taken for silent that was not, and a verdict is late by
// a scan's period at most. The serial is a part of it: a slot that was given back
// and claimed again begins with the pulse that its first owner began with.
type Activities struct {
	slots     []wire.Words
	intact    func() bool // of the header; nil: there is none
	opt       ActivityOptions
	seen      []uint64 // pulses of the scan before
	serials   []uint64 // words of serials of the scan before
	since     []int64  // CLOCK_BOOTTIME in ns at which both were seen first
	late      map[int]State
	next      time.Duration
	until     int64 // no deadline before this: the service asked for time
	scanned   bool
	suspended bool
	counts    activityCounts
	names     []named // for Marks
}

// activityCounts is what the last scan found.
type activityCounts struct {
	claimed, busy int
	odd           int // in a state that does not exist
	stuck         int // being claimed for ever
}

// NewActivities judges the slots of a page. The first scan gives each its whole
// timeout.
func NewActivities(p *Page, o ActivityOptions) *Activities {
	a := newActivities(p.slots, o)
	a.intact = p.Intact
	return a
}

func newActivities(slots []wire.Words, o ActivityOptions) *Activities {
	if o.Share <= 0 || o.Share > 1 {
		o.Share = 0.6
	}
	n := len(slots)
	return &Activities{
		slots: slots, opt: o, seen: make([]uint64, n), serials: make([]uint64, n), since: make([]int64, n), late: map[int]State{},
	}
}

// Next is when the slots are to be looked at again.
func (a *Activities) Next() (time.Duration, bool) { return a.next, !a.suspended }

// Suspend stops judging.
func (a *Activities) Suspend() { a.suspended = true }

// Resume judges again, each activity with its whole timeout from now on.
func (a *Activities) Resume(now time.Duration) []Verdict {
	a.suspended = false
	var all []Verdict
	for _, i := range a.lateSlots() {
		all = a.change(all, i, Healthy, now, "judged again from now on")
	}
	a.scanned, a.next, a.until = false, now, 0
	return all
}

// Extend grants time to all of them: no deadline before now+d. Suspicions end.
func (a *Activities) Extend(now, d time.Duration) []Verdict {
	a.until = max(a.until, int64(add(now, max(d, 0))))
	var all []Verdict
	for _, i := range a.lateSlots() {
		if a.late[i] == Suspect {
			all = a.change(all, i, Healthy, now, fmt.Sprintf("the service asked for %s more", d))
		}
	}
	return all
}

// deadlines of a slot with a limit.
func (a *Activities) deadlines(i int, limit int64) (suspect, confirm int64) {
	confirm = max(a.since[i]+limit, a.until)
	return confirm - int64(float64(limit)*(1-a.opt.Share)), confirm
}

// limitOf is the longest silence of a slot in a state; 0: any.
func (a *Activities) limitOf(i int, state wire.SlotState) int64 {
	switch state {
	case wire.Stopping:
		return int64(a.opt.Stop)
	case wire.Busy:
		if own := a.slots[i][wire.WordTimeout].Load(); own != 0 {
			return int64(min(own, uint64(wire.MaxInterval)))
		}
		return int64(a.opt.Timeout)
	}
	return 0
}

// Check scans the slots once and judges them.
func (a *Activities) Check(now time.Duration) []Verdict {
	if a.suspended {
		return nil
	}
	t, first := int64(now), !a.scanned
	var all []Verdict
	var due []int
	counts, shortest, deadline := activityCounts{}, int64(math.MaxInt64), int64(math.MaxInt64)
	anyLate := len(a.late) > 0 // spares a look into the map for each slot
	for i := range a.slots {
		pulse := a.slots[i][wire.WordPulse].Load()
		serial := a.slots[i][wire.WordSerial].Load()
		if first || pulse != a.seen[i] || serial != a.serials[i] {
			a.seen[i], a.serials[i], a.since[i] = pulse, serial, t
		}
		state := wire.SlotState(pulse)
		if state < wire.Idle || state > wire.Stopping {
			counts.other(state, t-a.since[i])
			continue
		}
		counts.claimed++
		limit := a.limitOf(i, state)
		if limit <= 0 {
			if own := a.slots[i][wire.WordTimeout].Load(); own != 0 {
				shortest = min(shortest, int64(min(own, uint64(wire.MaxInterval)))) // it may get busy at any time
			}
			continue
		}
		counts.busy++
		shortest = min(shortest, limit)
		at, confirm := a.deadlines(i, limit)
		was := Healthy
		if anyLate {
			was = a.late[i]
		}
		if was != Healthy {
			at = confirm
		}
		switch {
		case was == Confirmed:
		case t >= at:
			due = append(due, i)
		default:
			deadline = min(deadline, at)
		}
	}
	a.scanned, a.counts = true, counts
	for _, i := range a.lateSlots() {
		if a.recovered(i, t) {
			all = a.change(all, i, Healthy, now, fmt.Sprintf("activity %s beats again", a.name(i)))
		}
	}
	all = a.judge(all, due, now)
	for _, i := range due {
		if a.late[i] == Suspect {
			_, confirm := a.deadlines(i, a.limitOf(i, wire.SlotState(a.seen[i])))
			deadline = min(deadline, confirm)
		}
	}
	a.plan(now, shortest, deadline)
	return all
}

// other counts a slot that has no activity.
func (c *activityCounts) other(state wire.SlotState, age int64) {
	switch {
	case state > wire.Stopping:
		c.odd++
	case state == wire.Claimed && age > longestClaim:
		c.stuck++
	}
}

// recovered: a late activity has beaten, is idle, or is not there any more.
func (a *Activities) recovered(i int, t int64) bool {
	state := wire.SlotState(a.seen[i])
	return a.since[i] == t || state != wire.Busy && state != wire.Stopping
}

// judge takes those whose time is over, the longest silence first. Suspicion
// comes before the verdict, so that there is evidence of it.
func (a *Activities) judge(all []Verdict, due []int, now time.Duration) []Verdict {
	slices.SortFunc(due, func(x, y int) int { return int(min(max(a.since[x]-a.since[y], -1), 1)) })
	told := 0
	for _, i := range due {
		slot, comm, ended := a.look(i)
		if ended {
			// Whoever was busy is gone, and the rest of the service lives: its
			// slot is free again.
			if a.slots[i][wire.WordPulse].CompareAndSwap(a.seen[i], uint64(wire.Free)) {
				continue
			}
		}
		to := Suspect
		if a.late[i] == Suspect {
			to = Confirmed
		}
		if told++; told > maxActivities {
			a.late[i] = to
			continue
		}
		all = a.change(all, i, to, now, a.describe(i, slot, comm, now))
	}
	return all
}

// plan chooses the time of the next scan: on a grid, so that the scans of many
// services fall together, or at a deadline before.
func (a *Activities) plan(now time.Duration, shortest, deadline int64) {
	period := longestScan
	if shortest != math.MaxInt64 {
		period = min(max(time.Duration(shortest/scanShare), shortestScan), longestScan)
	}
	a.next = (now/period + 1) * period
	if deadline != math.MaxInt64 {
		a.next = min(a.next, max(time.Duration(deadline), now))
	}
}

func (a *Activities) change(all []Verdict, i int, to State, now time.Duration, text string) []Verdict {
	from := a.late[i]
	if to == Healthy {
		delete(a.late, i)
	} else {
		a.late[i] = to
	}
	return append(all, Verdict{Sign: "activity " + strconv.Itoa(i), From: from, To: to, At: now, Text: text, Cause: snapshot.CauseHang})
}

func (a *Activities) lateSlots() []int {
	var all []int
	for i := range a.late {
		all = append(all, i)
	}
	slices.Sort(all)
	return all
}

// look reads what a slot says of itself.
func (a *Activities) look(i int) (s wire.Slot, comm string, ended bool) {
	s, err := a.slots[i].Slot()
	if err == nil && a.opt.Who != nil && s.PID != 0 {
		comm, ended = a.opt.Who(s.PID, s.TID)
	}
	return s, comm, ended
}

func (a *Activities) name(i int) string {
	s, _ := a.slots[i].Slot()
	return quoteName(s.Name, i)
}

func quoteName(name string, i int) string {
	if name == "" {
		return "in slot " + strconv.Itoa(i)
	}
	return "`" + unquoted(name) + "`"
}

// unquoted keeps a name from ending its own quotation.
func unquoted(name string) string { return strings.ReplaceAll(name, "`", "'") }

// describe is the proof: which activity, by which thread, for how long, and that
// the others are well.
func (a *Activities) describe(i int, s wire.Slot, comm string, now time.Duration) string {
	text := "activity " + quoteName(s.Name, i)
	switch {
	case s.TID != 0 && comm != "":
		text += fmt.Sprintf(" (thread %d, comm `%s`)", s.TID, unquoted(wire.CleanText(comm, 15)))
	case s.TID != 0:
		text += fmt.Sprintf(" (thread %d)", s.TID)
	case s.PID != 0:
		text += fmt.Sprintf(" (process %d)", s.PID)
	}
	state := wire.SlotState(a.seen[i])
	silent, limit := now-time.Duration(a.since[i]), time.Duration(a.limitOf(i, state))
	text += fmt.Sprintf(" %s, silent for %s of %s", state, round(silent), limit)
	late := 0
	for j := range a.late {
		if j != i {
			late++
		}
	}
	if late > 0 {
		text += fmt.Sprintf("; %d others late", late)
	}
	return text + fmt.Sprintf("; %d others fine", max(a.counts.claimed-late-1, 0))
}

// List says how the activities stand, the late ones and then the busy ones
// first; at most maxListed of them.
func (a *Activities) List(now time.Duration) []Standing {
	var order []int
	for i := range a.slots {
		if state := wire.SlotState(a.slots[i][wire.WordPulse].Load()); state >= wire.Idle && state <= wire.Stopping {
			order = append(order, i)
		}
	}
	rank := func(i int) int {
		if wire.SlotState(a.seen[i]) == wire.Busy {
			return 4*int(a.late[i]) + 1
		}
		return 4 * int(a.late[i])
	}
	slices.SortStableFunc(order, func(x, y int) int { return rank(y) - rank(x) })
	more := max(len(order)-maxListed, 0)
	all := make([]Standing, 0, len(order)-more)
	for _, i := range order[:len(order)-more] {
		s, err := a.slots[i].Slot()
		if err != nil || s.State < wire.Idle {
			continue
		}
		st := a.mark(i, s.Name, s.Pulse, s.State, now)
		st.Text = s.State.String()
		if s.TID != 0 {
			st.Text += ", thread " + strconv.FormatUint(uint64(s.TID), 10)
		}
		all = append(all, st)
	}
	if more > 0 && len(all) > 0 {
		all[len(all)-1].Text += fmt.Sprintf("; %d further activities", more)
	}
	if text := a.garbage(); text != "" {
		all = append(all, Standing{Name: "page", Kind: KindActivity, Suspended: a.suspended, Text: text})
	}
	return all
}

// garbage tells what the program has written where it should not have; "" when
// all is well. It changes nothing in the judgement of the other slots.
func (a *Activities) garbage() string {
	var all []string
	if a.counts.odd > 0 {
		all = append(all, fmt.Sprintf("slots in no state that exists: %d", a.counts.odd))
	}
	if a.counts.stuck > 0 {
		all = append(all, fmt.Sprintf("claims broken off: %d", a.counts.stuck))
	}
	if a.intact != nil && !a.intact() {
		all = append(all, "the header is overwritten: no further process of the service can use the page")
	}
	return strings.Join(all, "; ")
}

// Odd is how many slots held no state at the last scan: the program has written
// garbage there.
func (a *Activities) Odd() int { return a.counts.odd }
