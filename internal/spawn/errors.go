package spawn

import (
	"fmt"
	"syscall"
)

// Error says at which stage a start failed, on what and why. Start returns no
// other type.
type Error struct {
	Stage Stage
	// Errno is the kernel's answer. Two values are ours: 0, the child was
	// killed before it could do this step; ETIMEDOUT, Spec.Limit passed.
	Errno syscall.Errno
	// Object is what the stage was about, such as "/srv/web".
	Object string
	// PID is the pid of the child that failed and is reaped, 0 if there was
	// none.
	PID int
}

// Error returns a sentence such as
// "cannot chdir to /srv/web: no such file or directory".
func (e *Error) Error() string {
	why := e.Errno.Error()
	if e.Errno == 0 {
		why = "the child was killed"
	}
	if hint := e.hint(); hint != "" {
		why += " (" + hint + ")"
	}
	return fmt.Sprintf("cannot %s %s: %s", e.Stage.cannot(), e.Object, why)
}

// Unwrap returns the errno, for errors.Is(err, fs.ErrNotExist) and the like.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// hint explains the answers of execve that mislead.
func (e *Error) hint() string {
	if e.Stage != StageExec {
		return ""
	}
	switch e.Errno {
	case syscall.ENOENT:
		return "the file or the interpreter that it names does not exist"
	case syscall.ENOEXEC:
		return "not a program: no #! line, or built for another machine"
	case syscall.EACCES:
		return "not executable, on a noexec file system, or a directory on the way is closed"
	case syscall.ETXTBSY:
		return "somebody has the file open for writing"
	case syscall.E2BIG:
		return "arguments and environment are too long"
	case syscall.EAGAIN:
		return "the user has as many processes as RLIMIT_NPROC allows"
	}
	return ""
}
