package spawn

import "time"

// Spec says what to start and in which surroundings. Descriptor numbers are
// those of the caller, stay the caller's, and may be close-on-exec. The zero
// value is not useful because descriptor 0 is a descriptor: begin with New.
type Spec struct {
	_ struct{}

	// Path is the program, with a slash: there is no search in PATH. A
	// relative one is taken from Dir.
	Path string
	// Args is argv, the program's name included. Empty means Path alone.
	Args []string
	// Env is the environment, "NAME=value" each; nil is an empty one.
	Env []string
	// PIDMark, unless empty, is a text that stands for the child's own pid in
	// decimal. It must be at the end of an entry of Env, as in
	// "LISTEN_PID=@pid@" or "ID=web-@pid@".
	PIDMark string
	// Dir is the working directory, "" for the caller's. It is entered with the
	// rights of Credential, as systemd does: a directory that the service
	// cannot enter is an error.
	Dir string

	// Stdin, Stdout and Stderr are descriptors, -1 for /dev/null.
	Stdin, Stdout, Stderr int
	// Extra[i] becomes descriptor 3+i.
	Extra []int

	// Cgroup is a descriptor of a cgroup v2 directory (O_PATH suffices), -1
	// for the caller's cgroup.
	Cgroup int
	// Setsid makes the child the leader of a new session without a terminal.
	Setsid bool
	// Credential is the user to become, nil to stay.
	Credential *Credential
	// Umask is the file mode creation mask, -1 for the caller's.
	Umask int
	// Nice is the nice value, -20 to 19, nil for the caller's.
	Nice *int
	// OOMScoreAdj is -1000 to 1000, nil for the caller's.
	OOMScoreAdj *int
	// Rlimits are set with the rights of the caller. Unless RLIMIT_NOFILE is
	// among them, the soft limit of open files is what the caller was started
	// with: Go raises its own at start, which select(2) users must not inherit.
	Rlimits []Rlimit
	// NoNewPrivs sets PR_SET_NO_NEW_PRIVS.
	NoNewPrivs bool

	// Bounding is the capability bounding set (capabilities(7)), bit N for
	// capability N of <linux/capability.h>, nil for the caller's: what a program
	// run by root, and all that it runs, can have at most. It needs CAP_SETPCAP.
	Bounding *uint64

	// Limit is how long the child may take until execve; then it is killed and
	// Start returns an Error with ETIMEDOUT. 0 is no limit. A child in an
	// uninterruptible wait cannot be killed, and Start goes on waiting for it.
	Limit time.Duration
}

// Credential is a user, its group and its supplementary groups. Groups nil or
// empty drops all supplementary groups.
type Credential struct {
	UID, GID uint32
	Groups   []uint32
}

// Rlimit is one resource limit; Resource is a unix.RLIMIT_ number, the limits
// are in the units of setrlimit(2), unix.RLIM_INFINITY for none.
type Rlimit struct {
	Resource   int
	Soft, Hard uint64
}

// New returns a Spec that runs path with args (without the program's name) and
// an empty environment, with /dev/null as its three standard descriptors and
// everything else as the caller has it.
func New(path string, args ...string) Spec {
	return Spec{
		Path: path, Args: append([]string{path}, args...),
		Stdin: -1, Stdout: -1, Stderr: -1, Cgroup: -1, Umask: -1,
	}
}
