package snapshot

// Crash is how a program ended by itself, in its own words or its kernel's.
type Crash struct {
	Kind      string `json:"kind"`              // one of the Crash constants
	Message   string `json:"message,omitempty"` // what the panic or the error says, one line
	Signal    string `json:"signal,omitempty"`  // "SIGSEGV"
	Address   uint64 `json:"address,omitempty"` // that the fault was about
	Goroutine int64  `json:"goroutine,omitempty"`
	Frame     *Place `json:"frame,omitempty"` // the innermost of the program's own code
}

// Kinds of a Crash.
const (
	CrashPanic  = "panic"       // an unrecovered panic of Go
	CrashError  = "fatal error" // of Go's runtime: a deadlock, concurrent map writes
	CrashSignal = "signal"      // a fault signal
)
