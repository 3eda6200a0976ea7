package snapshot

// Comparison is two readings held side by side: of one process a moment apart,
// or of two incidents. Left is the first.
type Comparison struct {
	Sentence    string  `json:"sentence"`
	Noun        string  `json:"noun"`                       // what is counted: "goroutine" or "thread"
	SameProcess bool    `json:"same_process"`               // only then are members compared
	Distance    Seconds `json:"distance_seconds,omitempty"` // between the readings; 0: not known

	Left  int `json:"left"`  // how many were read on the left
	Right int `json:"right"` // and on the right

	// Of the members of a process that is on both sides. Those that no group
	// lists by id are in none of the figures.
	Both  int `json:"both,omitempty"` // on both sides: Still, Moves and Spins together
	Still int `json:"still,omitempty"`
	Moves int `json:"moves,omitempty"`
	Spins int `json:"spins,omitempty"`
	New   int `json:"new,omitempty"`  // on the right only
	Gone  int `json:"gone,omitempty"` // on the left only

	Groups  []GroupChange `json:"groups,omitempty"`  // at most MaxChanges: right only, left only, then both, larger differences first
	Changes []Change      `json:"changes,omitempty"` // at most MaxChanges: what spins, then what moves; what stands still in state D first of all
	Cut     int           `json:"cut,omitempty"`     // how many groups and changes are left out
}

// MaxChanges bounds each list of a Comparison.
const MaxChanges = 256

// Sides of a group in a Comparison.
const (
	SideLeft  = "left"  // on the left only
	SideBoth  = "both"  // on both sides
	SideRight = "right" // on the right only
)

// GroupChange is a stack that stands on one side or on both. Two groups are the
// same when their frames are at the same functions and lines, or, failing that,
// in the same functions: addresses and ids do not count.
type GroupChange struct {
	Side       string `json:"side"`
	Where      Place  `json:"where"` // of its own code, innermost; else its innermost frame
	Status     string `json:"status"`
	WaitReason string `json:"wait_reason,omitempty"`
	Left       int    `json:"left"` // how many stood there
	Right      int    `json:"right"`
	LeftGroup  int    `json:"left_group"` // index in the groups of that side, -1: not there
	RightGroup int    `json:"right_group"`
	OtherLines bool   `json:"other_lines,omitempty"` // same functions, other lines
}

// What a goroutine or thread did between two readings.
const (
	MotionStill = "still" // same stack, and nothing says that it left it
	MotionMoves = "moves" // another stack, or the same and it was woken in between
	MotionSpins = "spins" // in the same function, running, with processor time used
	MotionNew   = "new"
	MotionGone  = "gone"
)

// Change is what one goroutine or thread did between two readings.
type Change struct {
	ID       int64   `json:"id"` // goroutine id; thread number of a JVM; else the TID
	Name     string  `json:"name,omitempty"`
	Motion   string  `json:"motion"`
	From     *Place  `json:"from,omitempty"` // own code, innermost
	To       *Place  `json:"to,omitempty"`
	State    string  `json:"state,omitempty"`       // on the right
	CPU      Seconds `json:"cpu_seconds,omitempty"` // processor time used in between, as far as known
	Switches int64   `json:"switches,omitempty"`    // context switches in between, as far as known
}
