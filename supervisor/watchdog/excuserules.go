package watchdog

import (
	"fmt"
	"math"
	"time"
)

// What it takes to excuse a service.
const (
	minSuspended = 100 * time.Millisecond // the clocks are read one after the other
	minPaging    = 0.40                   // of time with all work waiting for memory or storage
	minStarved   = 0.60                   // of time with work ready and no processor
	minThrottled = 0.50                   // of time, and of periods, held back by cpu.max
	minLate      = 250 * time.Millisecond // of our own timer

	// Major faults per second: a rotating disk serves about a hundred. The lower
	// one only together with the pressure of the machine.
	minFaults    = 100
	minFewFaults = 10
)

// excuseRule is one row of the table of excuses.
type excuseRule struct {
	name     string
	kind     ExcuseKind
	proven   func(*Facts) bool
	sentence func(*Facts) string
}

// excuses are tried in this order. First what makes judging pointless, whatever
// else there is: Holds. Then what slows a service down, the cause before what
// follows from it: paging puts threads into D and keeps processors busy, and a
// starved machine makes us late.
//
// The pressure is that of the service's own cgroup wherever it is known. That of
// the machine would excuse a deadlocked service on every busy machine; a
// deadlocked service has no work that waits for a processor.
var excuses = []excuseRule{
	{"suspended-host", Hold, func(f *Facts) bool { return f.Suspended >= minSuspended }, sayHost},
	{"frozen", Hold, func(f *Facts) bool { return f.Frozen != "" }, sayFrozen},
	{"stopped", Hold, isStopped, sayStopped},
	{"traced", Hold, func(f *Facts) bool { return f.TracerPID != 0 && !f.TracerOwn }, sayTraced},
	{"paging", Grant, isPaging, sayPaging},
	{"paging", Grant, isPagingAlone, sayPagingAlone},
	{"starved", Grant, func(f *Facts) bool { return f.Service.Known && f.Service.CPU >= minStarved }, sayStarved},
	{"starved", Grant, func(f *Facts) bool { return f.Throttled >= minThrottled }, sayThrottled},
	{"starved", Grant, func(f *Facts) bool { return !f.Service.Known && f.Delay >= minStarved }, sayDelayed},
	{"uninterruptible", Grant, func(f *Facts) bool { return f.Uninterruptible > 0 }, sayUninterruptible},
	{"late-loop", Grant, func(f *Facts) bool { return f.Late >= minLate }, sayLate},
}

func sayHost(f *Facts) string {
	return fmt.Sprintf("the machine was suspended for %s (CLOCK_BOOTTIME went on, CLOCK_MONOTONIC did not)", round(f.Suspended))
}

func sayFrozen(f *Facts) string { return "held still " + f.Frozen }

// isStopped also finds a process whose first thread has ended.
func isStopped(f *Facts) bool {
	return f.State == 'T' || f.Threads > 0 && f.Stopped == f.Threads
}

func sayStopped(f *Facts) string {
	return fmt.Sprintf("a signal (SIGSTOP or its like) holds it: %d of %d threads in state T", f.Stopped, f.Threads)
}

func sayTraced(f *Facts) string {
	held := "it runs"
	if f.TracedStops > 0 {
		held = fmt.Sprintf("%d of %d threads are held (state t)", f.TracedStops, f.Threads)
	}
	return fmt.Sprintf("pid %d (%s) traces it; %s", f.TracerPID, f.Tracer, held)
}

func isPaging(f *Facts) bool {
	return f.Service.Known && max(f.Service.Memory, f.Service.IO) >= minPaging
}

func sayPaging(f *Facts) string {
	return fmt.Sprintf("all its work waited: memory full %s, io full %s %s; %.0f major faults/s",
		percent(f.Service.Memory), percent(f.Service.IO), f.window(), f.MajorFaults)
}

// isPagingAlone goes by the process itself, where its cgroup tells no pressure.
func isPagingAlone(f *Facts) bool {
	if f.Service.Known {
		return false
	}
	return f.MajorFaults >= minFaults || f.MajorFaults >= minFewFaults && f.Machine.Known && max(f.Machine.Memory, f.Machine.IO) >= minPaging
}

func sayPagingAlone(f *Facts) string {
	text := fmt.Sprintf("%.0f major faults/s %s", f.MajorFaults, f.window())
	if f.Machine.Known {
		text += fmt.Sprintf("; the machine: memory full %s, io full %s", percent(f.Machine.Memory), percent(f.Machine.IO))
	}
	return text
}

func sayStarved(f *Facts) string {
	text := fmt.Sprintf("its work was ready and had no processor for %s %s", percent(f.Service.CPU), f.window())
	if f.Throttled > 0 {
		text += fmt.Sprintf(", held back by cpu.max for %s", percent(f.Throttled))
	}
	return text
}

func sayThrottled(f *Facts) string {
	return fmt.Sprintf("held back by cpu.max for %s %s", percent(f.Throttled), f.window())
}

func sayDelayed(f *Facts) string {
	return fmt.Sprintf("a thread was ready and had no processor for %s %s", percent(f.Delay), f.window())
}

func sayUninterruptible(f *Facts) string {
	where := f.Wchan
	if where == "" {
		where = "a place that the kernel does not tell"
	}
	return fmt.Sprintf("%d of %d threads wait in %s (state D)", f.Uninterruptible, f.Threads, where)
}

func sayLate(f *Facts) string {
	text := fmt.Sprintf("our own timer was %s late", round(f.Late))
	if f.Machine.Known {
		text += fmt.Sprintf("; the machine: cpu some %s, memory full %s, io full %s", percent(f.Machine.CPU), percent(f.Machine.Memory), percent(f.Machine.IO))
	}
	return text
}

func (f *Facts) window() string { return "of the last " + round(f.Window).String() }

func percent(share float64) string { return fmt.Sprintf("%.0f %%", math.Floor(share*100)) }
