package snapshot

import "fmt"

// Cause says in one word why a service ended. The same word stands in code,
// API, CLI, configuration and metrics.
type Cause string

// The causes of an end.
const (
	CauseNone         Cause = ""              // nothing has ended yet
	CauseExit         Cause = "exit"          // it exited by itself; nobody had asked
	CauseCrash        Cause = "crash"         // it died by a fault signal, or a runtime's fatal error
	CauseHang         Cause = "hang"          // it stopped giving signs of life
	CauseThreadLost   Cause = "thread-lost"   // a thread that must exist is gone
	CauseThreadStuck  Cause = "thread-stuck"  // a thread that must move stands still
	CauseProbe        Cause = "probe"         // a probe failed, with local evidence
	CauseOOM          Cause = "oom"           // the kernel killed it for memory
	CauseKilled       Cause = "killed"        // somebody else killed it
	CauseStartTimeout Cause = "start-timeout" // it did not become ready in time
	CauseStartFailed  Cause = "start-failed"  // it could not be started at all
	CauseStall        Cause = "stall"         // of no end: it was late, and came back
	CauseRequested    Cause = "requested"     // an operator or the configuration asked
)

// Causes lists every cause that an end can have.
var causes = []Cause{
	CauseExit, CauseCrash, CauseHang, CauseThreadLost, CauseThreadStuck, CauseProbe,
	CauseOOM, CauseKilled, CauseStartTimeout, CauseStartFailed, CauseStall, CauseRequested,
}

// Causes returns every cause that an end can have.
func Causes() []Cause { return append([]Cause(nil), causes...) }

// ParseCause returns the cause of that name.
func ParseCause(s string) (Cause, error) {
	for _, c := range causes {
		if string(c) == s {
			return c, nil
		}
	}
	return CauseNone, fmt.Errorf("cannot parse cause %q: not one of %v", s, causes)
}
