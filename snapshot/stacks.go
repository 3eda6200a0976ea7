package snapshot

// Stacks is what stood on the stacks of a process, stacks.json.
type Stacks struct {
	Schema     int      `json:"schema"`
	Runtime    string   `json:"runtime"`    // "go" or "native"
	Goroutines int      `json:"goroutines"` // how many there were
	Unwound    int      `json:"unwound"`    // how many of them were read
	Groups     []Group  `json:"groups"`     // by stack, what blocks first, then by size
	Threads    []Thread `json:"threads,omitempty"`
	Waits      []Wait   `json:"waits,omitempty"`     // who waits for what
	Deadlocks  []Cycle  `json:"deadlocks,omitempty"` // cycles in Waits
	Notes      []string `json:"notes,omitempty"`     // sentences about the limits of this reading
	Optimised  bool     `json:"optimised,omitempty"` // values of dead variables can be stale
}

// Group is a set of goroutines with the same stack.
type Group struct {
	Count      int      `json:"count"`
	Status     string   `json:"status"`                // "waiting", "running", "syscall", "runnable"
	WaitReason string   `json:"wait_reason,omitempty"` // "sync.Mutex.Lock", "chan receive"
	System     bool     `json:"system,omitempty"`      // the runtime's own
	Goroutines []int64  `json:"goroutines"`            // ids, at most MaxIDs
	CreatedBy  *Place   `json:"created_by,omitempty"`
	Frames     []Frame  `json:"frames"` // innermost first; of the sample, with arguments and locals
	Sample     int64    `json:"sample"` // id of the goroutine whose variables are shown
	Labels     []string `json:"labels,omitempty"`
	Cut        bool     `json:"cut,omitempty"` // more frames than were read
}

// MaxIDs is how many goroutine ids a group lists.
const MaxIDs = 64

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

// Wait is one edge of the wait-for graph: a goroutine that waits for a lock.
type Wait struct {
	Goroutine int64  `json:"goroutine"`
	Kind      string `json:"kind"`            // "sync.Mutex.Lock", "sync.RWMutex.RLock", ...
	Address   uint64 `json:"address"`         // of the lock
	Holder    int64  `json:"holder"`          // 0 when unknown
	Certain   bool   `json:"certain"`         // false: the holder is inferred
	Place     *Place `json:"place,omitempty"` // where the goroutine's own code waits
}

// Cycle is a deadlock: each goroutine waits for the next, the last for the first.
type Cycle struct {
	Goroutines []int64 `json:"goroutines"`
	Certain    bool    `json:"certain"`
}
