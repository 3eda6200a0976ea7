// Package intake receives signals together with who sent them. os/signal drops
// the sender, and drops signals when its channel is full.
//
// # How
//
// A handler of a few instructions (handler_*.s) writes the siginfo_t that the
// kernel gives it to a pipe; one goroutine reads, looks up the sender in /proc at
// once, and queues. The handler touches neither a goroutine's stack nor any
// state of the Go runtime, so it may run on any thread at any instant. When the
// pipe is full, it counts, by signal: what arrived is known even if not from
// whom. Every bound keeps the counts: the pipe (8,192 records, 512 where the
// kernel refuses more), then the counters; the queue (1,024), then merging by
// signal and sender, then by signal.
//
// # Rules
//
// Nothing in a process that calls Start may use os/signal for these signals, and
// a test holds the keeper's imports to that: Notify would receive nothing, Ignore
// would make them vanish, and if a signal was ignored at the start, Stop would
// make the next one fatal.
//
// Children do not notice: a caught signal has its default action again after
// execve(2), also one that was ignored when we started, and nothing is blocked.
//
// QUIT no longer makes the runtime dump its goroutines; that is now up to the
// consumer.
//
// # Before Start
//
// Until the handler is in place the default action applies: HUP, INT and TERM
// end the program, QUIT ends it with a dump. Nothing is installed by an init of
// this package, for the same binary is supervisor and command line too, where
// these signals keep their meaning. So Start belongs at the very beginning of
// main in the one role that wants it, after Unmask; it takes about 0.1 ms. What
// comes before anybody calls Take waits. BenchmarkWindow measures the time from
// execve(2) to the handler.
package intake
