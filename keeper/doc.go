// Package keeper is the process that the world knows: the parent and child
// subreaper of every service, of the supervisor and of every helper. It is the
// only place that starts processes, reaps them and takes signals, it is never
// re-executed, and it holds no policy: it does what the supervisor asks over
// the protocol, and keeps what must outlive a supervisor (descriptors, notes,
// events that nobody has acknowledged).
//
// One goroutine, loop, owns all state. Others only wait for the kernel and
// send it typed messages: reap for deaths, receive for requests, a spawn for
// each start (an execve can hang on a dead file system, the loop may not), a
// tree kill for each kill.
//
// A supervisor is replaceable. When it dies, or its loop gives no beat, the
// keeper starts another, which recovers what there is and goes on. If none can
// be had, the keeper still obeys TERM: it ends all services itself.
package keeper
