package watchdog

import (
	"time"

	"github.com/vigil-supervisor/vigil/internal/psi"
)

// Facts are what a look at a service, at the machine and at ourselves has found,
// as far as it can excuse a sign of life that did not come. What could not be
// read is zero, and excuses nothing.
type Facts struct {
	Late      time.Duration // how late our own timer was that led to the look
	Suspended time.Duration // how long the machine slept since the last Baseline

	Frozen string // by which cgroup it is frozen, or where in the kernel it waits for the thaw; "" not

	// Of the threads of the main process, of which at most MaxLooked are looked at.
	State           byte // of the first thread, as in proc_pid_stat(5)
	Threads         int  // living ones
	Stopped         int  // in T: stopped by a signal
	TracedStops     int  // in t: held by a tracer
	Uninterruptible int  // in D, and if they were in D at a former look too, without having run since
	Wchan           string

	TracerPID int    // of the first thread; 0: none
	Tracer    string // its name
	TracerOwn bool   // the tracer is a process of the service itself

	Window      time.Duration // that the shares below are of
	Service     Pressure      // of its cgroup
	Machine     Pressure
	Throttled   float64 // share of time and of periods in which cpu.max held it back
	Delay       float64 // share of time that a thread, the worst, was ready and not running; only without Service
	MajorFaults float64 // pages that the main process had to wait for, per second
}

// Pressure is that of processors by some tasks (work was ready and had none), that
// of memory and of input or output by all of them (all work waited for it).
type Pressure = psi.Pressure
