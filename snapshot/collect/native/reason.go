package native

import (
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Reasons for which a thread waits, as Group.WaitReason says them.
const (
	reasonMutex     = "mutex"
	reasonCondition = "condition"
	reasonPoll      = "poll"
	reasonAccept    = "accept"
	reasonSignal    = "signal"
	reasonFutex     = "futex"
)

// waitsIn says for what a thread waits that is in a function of the C library.
// Names are without leading underscores and the prefixes of glibc's inside.
var waitsIn = map[string]string{
	"pthread_mutex_lock": reasonMutex, "pthread_mutex_timedlock": reasonMutex, "pthread_mutex_clocklock": reasonMutex,
	"pthread_mutex_cond_lock": reasonMutex, "pthread_mutex_lock_full": reasonMutex, "pthread_mutex_clocklock_common": reasonMutex,
	"lll_mutex_lock_optimized": reasonMutex, "lll_lock_wait": reasonMutex, "lll_lock_wait_private": "lock of the C library",
	"pthread_rwlock_rdlock": "rwlock read", "pthread_rwlock_timedrdlock": "rwlock read", "pthread_rwlock_rdlock_full64": "rwlock read",
	"pthread_rwlock_rdlock_full": "rwlock read",
	"pthread_rwlock_wrlock":      "rwlock write", "pthread_rwlock_timedwrlock": "rwlock write", "pthread_rwlock_wrlock_full64": "rwlock write",
	"pthread_rwlock_wrlock_full": "rwlock write",
	"pthread_cond_wait":          reasonCondition, "pthread_cond_timedwait": reasonCondition, "pthread_cond_clockwait": reasonCondition,
	"pthread_cond_wait_common": reasonCondition,
	"pthread_join":             "join", "pthread_timedjoin_np": "join", "pthread_clockjoin_ex": "join", "pthread_timedjoin_ex": "join",
	"pthread_barrier_wait": "barrier",
	"sem_wait":             "semaphore", "sem_timedwait": "semaphore", "sem_clockwait": "semaphore", "new_sem_wait": "semaphore",
	"new_sem_wait_slow64": "semaphore", "new_sem_wait_slow": "semaphore", "do_futex_wait": reasonFutex,
	"futex_wait": reasonFutex, "futex_wait_cancelable": reasonFutex, "futex_abstimed_wait_common": reasonFutex,
	"futex_abstimed_wait_common64": reasonFutex, "futex_abstimed_wait_cancelable64": reasonFutex, "futex_abstimed_wait64": reasonFutex,
	"futex_lock_pi64": reasonMutex, "internal_syscall_cancel": "", "syscall_cancel": "", "syscall_cancel_arch": "", "internal_syscall": "",
	"poll": reasonPoll, "ppoll": reasonPoll, "select": reasonPoll, "select64": reasonPoll, "pselect": reasonPoll, "pselect64": reasonPoll,
	"epoll_wait": reasonPoll, "epoll_pwait": reasonPoll, "epoll_pwait2": reasonPoll, "poll_chk": reasonPoll, "ppoll_chk": reasonPoll,
	"io_getevents": "input/output", "io_pgetevents": "input/output", "aio_suspend": "input/output",
	"read": "read", "pread": "read", "pread64": "read", "readv": "read", "preadv": "read", "recv": "read", "recvfrom": "read",
	"recvmsg": "read", "recvmmsg": "read", "getdents64": "read", "read_nocancel": "read", "pread64_nocancel": "read", "read_chk": "read",
	"write": "write", "pwrite": "write", "pwrite64": "write", "writev": "write", "send": "write", "sendto": "write", "sendmsg": "write",
	"sendmmsg": "write", "sendfile": "write", "sendfile64": "write", "splice": "write", "write_nocancel": "write",
	"accept": reasonAccept, "accept4": reasonAccept, "connect": "connect",
	"nanosleep": "sleep", "clock_nanosleep": "sleep", "clock_nanosleep_time64": "sleep", "sleep": "sleep", "usleep": "sleep", "nanosleep_nocancel": "sleep",
	"pause": reasonSignal, "sigsuspend": reasonSignal, "sigwait": reasonSignal, "sigwaitinfo": reasonSignal, "sigtimedwait": reasonSignal,
	"sigtimedwait64": reasonSignal,
	"wait":           "child", "wait3": "child", "wait4": "child", "wait4_time64": "child", "waitpid": "child", "waitid": "child",
	"flock": "file lock", "lockf": "file lock", "lockf64": "file lock", "fcntl": "file lock", "fcntl64": "file lock", "fcntl64_nocancel": "file lock",
	"fsync": "fsync", "fdatasync": "fsync", "sync": "fsync", "syncfs": "fsync", "msync": "fsync", "sync_file_range": "fsync",
	"open": "open", "open64": "open", "openat": "open", "openat64": "open", "close": "close", "ioctl": "ioctl",
	"msgrcv": "message queue", "msgsnd": "message queue", "mq_timedreceive": "message queue", "mq_timedsend": "message queue",
	"semop": "semaphore", "semtimedop": "semaphore",
	"getaddrinfo": "name service", "syscall": "system call",
}

// maxPlumbing is how many frames of the C library may lie on each other.
const maxPlumbing = 10

// waitReason says for what a thread waits: the outermost of the C library's
// functions that its stack ends in, so that a futex in pthread_cond_wait(3) is a
// condition. Where the stack does not tell, the kernel's place does.
func waitReason(frames []snapshot.Frame, wchan string) string {
	reason, known := "", false
	for i, f := range frames {
		why, ok := waitsIn[plainName(f.Function)]
		if !ok || i == maxPlumbing {
			break
		}
		reason, known = orElse(why, reason), true
	}
	if known && reason != "" {
		return reason
	}
	return waitsInKernel(wchan)
}

// plainName takes off what glibc puts before the name of a function.
func plainName(function string) string {
	for {
		plain := strings.TrimLeft(function, "_")
		plain = strings.TrimPrefix(strings.TrimPrefix(plain, "GI_"), "libc_")
		plain, _, _ = strings.Cut(plain, ".") // ".constprop.0", ".part.0"
		if plain == function {
			return plain
		}
		function = plain
	}
}

// waitsInKernel reads the name of a kernel function, /proc/PID/task/TID/wchan.
func waitsInKernel(wchan string) string {
	for _, w := range [...]struct{ part, reason string }{
		{"futex", reasonFutex}, {"ep_poll", reasonPoll}, {"poll_schedule", reasonPoll}, {"do_select", reasonPoll}, {"do_poll", reasonPoll},
		{"nanosleep", "sleep"}, {"pipe_read", "read"}, {"pipe_write", "write"}, {"anon_pipe_read", "read"}, {"anon_pipe_write", "write"},
		{"accept", reasonAccept}, {"recv", "read"}, {"unix_stream_read", "read"}, {"unix_stream_data_wait", "read"}, {"sk_wait_data", "read"},
		{"sk_stream_wait_memory", "write"}, {"sock_alloc_send", "write"}, {"n_tty_read", "read"}, {"do_wait", "child"}, {"sigtimedwait", reasonSignal},
		{"sigsuspend", reasonSignal}, {"locks_lock", "file lock"}, {"flock", "file lock"}, {"wait_on_page", "input/output"}, {"folio_wait", "input/output"},
		{"io_schedule", "input/output"},
	} {
		if strings.Contains(wchan, w.part) {
			return w.reason
		}
	}
	return ""
}

// idle says why a thread waits for work by nature, "" when it may wait for
// something that it needs: poll(2) of one descriptor is how many clients wait for
// their answer, so it counts only in a loop of events.
func idle(frames []snapshot.Frame, reason string) string {
	switch reason {
	case reasonAccept:
		return "waits for connections"
	case reasonSignal:
		return "waits for signals"
	case reasonPoll:
		if eventLoop(frames) {
			return "waits for events"
		}
	}
	return ""
}

// eventLoop says whether a stack that is in poll is a loop of events: it is in
// epoll, the loop is the thread's own function, or a function is named so.
func eventLoop(frames []snapshot.Frame) bool {
	own := 0
	for i, f := range frames {
		name := plainName(f.Function)
		if strings.HasPrefix(name, "epoll") && i < maxPlumbing {
			return true
		}
		if _, libc := waitsIn[name]; libc || f.Inlined {
			continue
		}
		if startsThreads[name] {
			return own <= 1
		}
		lower := strings.ToLower(name)
		if strings.Contains(lower, "loop") || strings.Contains(lower, "dispatch") || strings.Contains(lower, "io_poll") || name == "uv_run" || name == "ev_run" {
			return true
		}
		own++
	}
	return false
}

// startsThreads holds the functions of glibc that a stack begins with.
var startsThreads = map[string]bool{
	"start": true, "clone": true, "clone3": true, "thread_start": true, "start_thread": true,
	"start_call_main": true, "start_main": true, "start_main_impl": true,
}

// startOf is the function that a thread was started with.
func startOf(frames []snapshot.Frame) *snapshot.Place {
	for i := len(frames) - 1; i >= 0; i-- {
		if startsThreads[plainName(frames[i].Function)] {
			continue
		}
		if i == len(frames)-1 || frames[i].Function == "" {
			return nil // the stack was not read to its begin
		}
		place := frames[i].Place
		return &place
	}
	return nil
}
