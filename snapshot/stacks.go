package snapshot

import "time"

// Stacks is what stood on the stacks of a process, stacks.json.
type Stacks struct {
	Schema    int       `json:"schema"`
	PID       int       `json:"pid,omitempty"`
	Runtime   string    `json:"runtime"`          // of Program
	Taken     time.Time `json:"taken,omitzero"`   // when the process stood still for this reading, wall clock, UTC
	Source    string    `json:"source,omitempty"` // what read them: "delve", "runtime", "jattach", "jcmd", "sigquit", "jhsdb", "eu-stack", "gdb", "node-report", "faulthandler"
	Total     int       `json:"total"`            // how many goroutines (or threads, where the runtime has no goroutines) there were
	Unwound   int       `json:"unwound"`          // how many of them were read
	Groups    []Group   `json:"groups"`           // by stack, what blocks first, then by size
	Crash     *Crash    `json:"crash,omitempty"`  // how it ended, where that is on a stack or in the text
	Threads   []Thread  `json:"threads,omitempty"`
	Waits     []Wait    `json:"waits,omitempty"`     // who waits for what
	Deadlocks []Cycle   `json:"deadlocks,omitempty"` // cycles in Waits
	Notes     []string  `json:"notes,omitempty"`     // sentences about the limits of this reading
	Optimised bool      `json:"optimised,omitempty"` // values of dead variables can be stale
}

// Group is a set of goroutines, or of threads, with the same stack.
type Group struct {
	Count      int      `json:"count"`
	Status     string   `json:"status"`                // "waiting", "running", "syscall", "runnable"; of a JVM: its thread state, lower case
	WaitReason string   `json:"wait_reason,omitempty"` // "sync.Mutex.Lock", "chan receive", "monitor", "park"
	System     bool     `json:"system,omitempty"`      // the runtime's own
	IDs        []int64  `json:"ids"`                   // of its members, at most MaxIDs
	Members    []Member `json:"members,omitempty"`     // those of which more is known than the id, at most MaxIDs
	WaitMin    Seconds  `json:"wait_min_seconds,omitempty"`
	WaitMax    Seconds  `json:"wait_max_seconds,omitempty"` // 0: not known
	CreatedBy  *Place   `json:"created_by,omitempty"`
	Start      *Place   `json:"start,omitempty"`   // the function that it was started with
	Frames     []Frame  `json:"frames"`            // innermost first; of the sample, with arguments and locals
	Sample     int64    `json:"sample"`            // id of the member whose variables are shown
	Labels     []string `json:"labels,omitempty"`  // of the sample, name=value
	Crashed    bool     `json:"crashed,omitempty"` // it panicked, or a fault signal hit it
	Idle       string   `json:"idle,omitempty"`    // why it is set aside: it waits for work, by nature
	Cut        bool     `json:"cut,omitempty"`     // more frames than were read
}

// MaxIDs is how many members a group lists.
const MaxIDs = 1 << 17

// Member is one goroutine or thread of a group.
type Member struct {
	ID      int64    `json:"id"` // goroutine id; thread number of a JVM; else the TID
	TID     int      `json:"tid,omitempty"`
	Name    string   `json:"name,omitempty"`            // of a thread
	Waiting Seconds  `json:"waiting_seconds,omitempty"` // how long, as far as known
	Labels  []string `json:"labels,omitempty"`          // name=value, secrets masked
}

// Place is a place in a program's source.
type Place struct {
	Function string `json:"function"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

// Frame is one frame of a stack.
type Frame struct {
	Place
	PC        uint64     `json:"pc"`
	Inlined   bool       `json:"inlined,omitempty"`
	Arguments []Variable `json:"arguments,omitempty"`
	Locals    []Variable `json:"locals,omitempty"`
}

// Variable is one argument or local. Value is one line, bounded.
type Variable struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Value  string `json:"value,omitempty"`
	Masked bool   `json:"masked,omitempty"`     // its name looks secret
	Error  string `json:"unreadable,omitempty"` // why there is no value
}

// Wait is one edge of the wait-for graph: a goroutine or thread, by its id,
// that waits for another. A waiter can have several: it waits for all of those
// without Any, and for one of those with Any.
type Wait struct {
	Waiter  int64  `json:"waiter"`
	Kind    string `json:"kind"`            // "sync.Mutex.Lock", "chan receive", "monitor", "java.util.concurrent.locks.ReentrantLock", ...
	Address uint64 `json:"address"`         // of the lock or channel
	Name    string `json:"name,omitempty"`  // of the lock, where it is known: "a.mu", a class of Java
	Holder  int64  `json:"holder"`          // 0 when unknown
	Certain bool   `json:"certain"`         // false: the holder is inferred
	Any     bool   `json:"any,omitempty"`   // an alternative: a case of a select, one of several who could send
	Place   *Place `json:"place,omitempty"` // where the goroutine's own code waits
}

// Cycle is a deadlock: each member waits for the next, the last for the first.
type Cycle struct {
	Members []int64 `json:"members"`
	Certain bool    `json:"certain"`
	Behind  int     `json:"behind,omitempty"` // how many more wait for a member, directly or not
}
