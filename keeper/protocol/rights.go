package protocol

import "golang.org/x/sys/unix"

// What vigil-capture can have at most of what root has, capabilities(7): it
// reads what a broken program has in its memory. They are values of Bounding.

// TakingRights are for taking evidence of a process.
var TakingRights = rights(
	unix.CAP_SYS_PTRACE,      // of programs of other users
	unix.CAP_DAC_READ_SEARCH, // their executables
	unix.CAP_SYS_ADMIN,       // kernel stacks (/proc/PID/stack), network namespaces (setns(2))
	unix.CAP_KILL,            // to ask a runtime for its stacks, to continue what a debugger that was killed left stopped
	unix.CAP_SETUID,          // a JVM answers its own user only
	unix.CAP_SETGID,
)

// ReadingRights are for reading it, which nothing hurries: executables can lie
// in directories of other users.
var ReadingRights = rights(unix.CAP_DAC_READ_SEARCH)

func rights(capabilities ...int) *uint64 {
	var set uint64
	for _, c := range capabilities {
		set |= 1 << c
	}
	return &set
}
