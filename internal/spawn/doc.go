// Package spawn starts a child process with everything that a supervisor wants
// of it, without a helper binary in between and without os/exec.
//
// # How
//
// Start lays out a script in memory of its own mmap: a list of system calls
// with their arguments, the last one execve, and every string they refer to. A
// few lines of assembly block all signals, make a child that shares our memory
// (clone3 with CLONE_VM, CLONE_VFORK and CLONE_PIDFD), and restore the signals.
// The child walks the script and at the first error writes the number of the
// step and the errno next to it, and exits. CLONE_VFORK keeps the parent's
// thread suspended until the child has passed execve or is gone, so what the
// parent reads afterwards is final: it is as good as end-of-file on a
// close-on-exec pipe, and it names the step.
//
// # Why it is safe to share memory with a Go program
//
// The child runs no Go code: it uses registers, the script, and no stack (it
// has a small one of its own nevertheless). Nothing in the script lies in the
// Go heap, so the collector neither moves nor frees it. All signals are blocked
// from before the clone until the last step before execve, so that no handler
// of the Go runtime, preemption included, can ever run in the child; by then
// every disposition is SIG_DFL. The assembly cannot be preempted, so the
// goroutine cannot change threads with its signals blocked, and no
// runtime.LockOSThread is needed. The thread is in a system call as far as the
// scheduler knows (runtime.entersyscall, which the linker lets us name): the
// collector and all other goroutines go on while a child hangs in chdir or
// execve on a dead file server. os/exec, which forks without telling the
// scheduler, would stop the whole program there. Spec.Limit bounds that time.
//
// A change of credentials in a child that shares our memory makes *our* memory
// undumpable (commit_creds calls set_dumpable on it), which is just as well
// while that child could be traced by its new user; Start sets it back
// afterwards. PR_SET_PDEATHSIG is not used: it would follow the thread that
// forked, not the process.
//
// Writing /proc/self/oom_score_adj is safe only because of CLONE_VFORK: for
// other processes with shared memory the kernel changes all of them
// (__set_oom_adj).
//
// # Who reaps
//
// A child that does not reach execve is invisible to the reaper of the caller.
// It is made with exit signal 0, so its end sends no SIGCHLD and waitid(2)
// without __WALL or __WCLONE does not find it; Start reaps it. execve sets the
// exit signal to SIGCHLD (de_thread), and from there on the child is like any
// other. A caller that reaps with waitid(P_ALL) in another goroutine has to
// remember only this: a child may be dead, and be reported, before Start has
// returned its pid. Either Start and reaping happen in one goroutine, or
// statuses of unknown pids are kept until every Start under way has returned.
// The reaper must not pass __WALL or __WCLONE.
//
// # Kernels
//
// Linux 5.4 (waitid of a pidfd) at least. CLONE_INTO_CGROUP needs 5.7; where
// clone3 is missing or forbidden, clone is used and the child moves itself into
// the cgroup as its first step. close_range with CLOEXEC needs 5.11; without it
// only descriptors that are close-on-exec anyway stay out of the child, which
// all descriptors made by Go are.
package spawn
