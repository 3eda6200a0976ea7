// Package order says which of several services may be started now, which have
// to wait and for whom, and which may be stopped: the order of after, requires
// and restart_with. It is pure: it is given the graph and what is true of each
// service, and knows no process, no file and no clock.
//
// # Rules
//
// A service that requires another is started only while that one is ready. One
// that is merely after another waits only as long as that one is on its way: it
// does not wait for what is not wanted, has failed, or waits itself for such a
// one. What runs is not touched
// by either: both speak about starts.
//
// An end that was asked for (Down) begins when everything that comes later in
// the order, and is to end as well or is ending already, is gone. So services
// end in the reverse of the order in which they start. One whose end takes
// longer than it may (Late) is not waited for any more.
//
// # Nothing is stuck
//
// An edge that would close a circle does not count, so that the order is one
// whatever it is given; the configuration refuses circles. In an order somebody
// is always first: what is not held back may start, what nobody later holds back
// may end, and each that waits names others that are not there yet.
package order
