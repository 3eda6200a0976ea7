// Package falsealarm makes happen, with real processes, what must not be taken
// for a hang: a stop by an operator, a frozen cgroup, a debugger, no processor,
// no memory, an uninterruptible wait, a long collection that was announced, a late
// loop of our own. What the machine does not allow is skipped in words. A suspended
// machine is not made: that is a unit test of supervisor/watchdog with clocks that
// jump.
//
// Most tests are about one look at a process (watchdog.Looker, watchdog.Judge).
// Those of TestVigil put the whole vigil before a service that beats.
package falsealarm
