// Package lifecycle is the life of one service: a pure state machine.
//
// A service has a desired state (Up, or not) and a current one (State). Step
// takes the service, an event and the time, and returns the service as it is
// now and the actions that make it so; whoever calls it performs them and
// reports back by further events. It knows no pid, no file and no clock, so the
// whole of it is tested in milliseconds.
//
// # Who decides
//
// Three deciders pull at a service, in this order of priority: an operator
// (Start, Stop, Restart), the verdict about its life (Confirmed), and the
// restart policy. An operator's wish during a transition is not lost and does
// not cut the transition short where that would do harm: a Stop while evidence
// is being taken waits for the evidence; a Start while the old tree is being
// ended waits until it is gone; a Stop before the answer to a start has come
// waits for that answer. What follows after the tree is gone is therefore not
// remembered as a plan but read from Up, Asked and Once when the time comes.
//
// # Ends
//
// An instance is over when its main process has ended and its tree is empty.
// Until both are known no other instance is started: there are never two. An
// end that nobody asked for is a failure whatever its status. The keeper may
// have started the next instance by itself, on a standing order; the event
// Again tells of both the end and the start.
//
// # What overtakes what
//
// Events come from several descriptors, so some overtake others. Readiness that
// arrives before the answer to the start is kept. A verdict that loses the race
// against the keeper's standing order was about the old instance: the new one
// stays. An empty tree may be told before the exit. A timer that was set for a
// deadline which has moved since is ignored, and so is everything about another
// instance than the current one.
//
// # Order
//
// Whether an instance may be started now is said by Settings.Held, since it
// depends on other services (package supervisor/order). There is one place that
// starts, and it looks there: a start, a restart and a retry all wait in the same
// way. While it is held the keeper has no standing order either.
//
// # Nothing is stuck
//
// Every state but stopped, failed and waiting owns its exit: a process whose end
// will be told, a start whose answer will come, or a Deadline. A service that
// waits is let go by EventGate, as soon as Held is empty. The property test
// holds it for arbitrary sequences of events.
package lifecycle
