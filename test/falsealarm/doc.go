// Package falsealarm makes happen, with real processes, what must not be taken
// for a hang: a stop by an operator, a frozen cgroup, a debugger, no processor,
// no memory, an uninterruptible wait, a late loop of our own. What the machine
// does not allow is skipped in words. A suspended machine is not made: that is a
// unit test of supervisor/watchdog with clocks that jump.
package falsealarm
