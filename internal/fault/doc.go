// Package fault lets tests end vigil at a chosen step of a protocol. Only a
// binary built with the tag vigilfault has it; in every other one Enabled is
// false and the compiler drops what it guards.
//
// What happens where is said by the environment variable VIGIL_FAULT, in the
// form "point:action:nth": at the nth passage of this process through the point
// the action is carried out. The actions are kill (SIGKILL to ourselves: no
// deferred function runs) and stop (SIGSTOP: we hang). A value with a slash in
// front is the path of a file that holds the form: it is read at every point,
// and removed just before the action, which so happens once, whichever process
// comes first.
package fault
