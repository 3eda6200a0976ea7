package api

import (
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Incident is the first view of an incident.
type Incident struct {
	Incident  snapshot.Incident `json:"incident"`
	Source    string            `json:"source"`
	Directory string            `json:"directory,omitempty"`
	Pinned    bool              `json:"pinned"`
	Badges    []Badge           `json:"badges"`
	Problems  []string          `json:"problems"`        // what cannot be read, sentences
	Banners   []string          `json:"banners"`         // what a reader must know first: partial, cut, stale
	Deadlocks []string          `json:"deadlocks"`       // sentences
	Finding   string            `json:"finding"`         // of the stacks, a sentence or ""
	Same      int               `json:"same"`            // how many incidents have this fingerprint
	Newer     string            `json:"newer,omitempty"` // id of the next newer one with this fingerprint
	Older     string            `json:"older,omitempty"`
	Captures  bool              `json:"captures"`           // there are two captures to compare
	Revision  string            `json:"revision,omitempty"` // link to the source tree of the build
}

// Stacks is one way to group the goroutines or threads of an incident. "by" is
// one of Groupings.
type Stacks struct {
	Noun      string          `json:"noun"` // "goroutine" or "thread"
	By        string          `json:"by"`
	Groupings []string        `json:"groupings"` // those that say something here
	Runtime   string          `json:"runtime"`
	Total     int             `json:"total"`
	Unwound   int             `json:"unwound"`
	Matching  int             `json:"matching"` // members in groups that match q
	Idle      int             `json:"idle"`     // members set aside, not in Groups unless idle=1
	Groups    []Group         `json:"groups"`   // from offset, at most limit (default 100, at most MaxGroups)
	Count     int             `json:"count"`    // of groups that match
	Crash     *snapshot.Crash `json:"crash,omitempty"`
	Notes     []string        `json:"notes"`
	Optimised bool            `json:"optimised"` // values of variables may be stale
}

// MaxGroups bounds a page of Stacks.
const MaxGroups = 1000

// Ways to group.
const (
	ByStack   = "stack"   // the whole stack
	ByTop     = "top"     // the innermost frame of its own code
	ByCreator = "creator" // where it was created
	ByLabel   = "label"
	ByName    = "name" // of the thread, digits at the end left out
	ByState   = "state"
)

// Groupings lists them.
func Groupings() []string { return []string{ByStack, ByTop, ByCreator, ByLabel, ByName, ByState} }

// Heaps, to sort groups into.
const (
	HeapLook       = "look"       // not looked at yet
	HeapSuspicious = "suspicious" // part of a deadlock, of the crash, of what the verdict is about
	HeapNormal     = "normal"     // idle by nature, or marked as normal for this service
)

// Group is what the members have in common. By ByStack it is one group of
// stacks.json; by another key it can be several, and its frames are those of the
// largest.
type Group struct {
	// Index is that of the (largest) group in stacks.json.
	Index   int    `json:"index"`
	Indices []int  `json:"indices"` // of all groups that are in it, at most 100
	Key     string `json:"key"`     // stable for this stack across incidents: what Normal names
	Label   string `json:"label"`   // what it was grouped by
	Count   int    `json:"count"`
	Status  string `json:"status"`

	WaitReason string           `json:"wait_reason,omitempty"`
	WaitMin    snapshot.Seconds `json:"wait_min_seconds"` // 0: not known
	WaitMax    snapshot.Seconds `json:"wait_max_seconds"`
	CreatedBy  *snapshot.Place  `json:"created_by,omitempty"`
	Start      *snapshot.Place  `json:"start,omitempty"`
	Frames     []Frame          `json:"frames"`  // innermost first, at most MaxFrames, of the largest group
	Cut        bool             `json:"cut"`     // there are more frames
	Members    []Member         `json:"members"` // at most 20; GroupDetail has more
	Labels     []string         `json:"labels,omitempty"`
	Heap       string           `json:"heap"`
	Reasons    []string         `json:"reasons"` // why it is in that heap, and what marks it: sentences
	Idle       string           `json:"idle,omitempty"`
	System     bool             `json:"system"`
	Crashed    bool             `json:"crashed"`
	Deadlock   bool             `json:"deadlock"`
	Variables  bool             `json:"variables"` // GroupDetail has some
}

// MaxFrames bounds the frames of a Group in a list.
const MaxFrames = 100

// Member is one goroutine or thread.
type Member struct {
	ID      int64            `json:"id"`
	TID     int              `json:"tid,omitempty"`
	Name    string           `json:"name,omitempty"`
	Waiting snapshot.Seconds `json:"waiting_seconds,omitempty"`
}

// Frame is one frame in a list. Runtime ones are to be folded.
type Frame struct {
	snapshot.Place
	Own     bool   `json:"own"`     // the program's own code
	Runtime bool   `json:"runtime"` // of the runtime or the standard library's depths
	Inlined bool   `json:"inlined,omitempty"`
	Link    string `json:"link,omitempty"` // to the source at the build's revision
}

// GroupDetail is one group of stacks.json with its variables.
type GroupDetail struct {
	Group
	Sample    int64            `json:"sample"` // the member whose variables these are
	Optimised bool             `json:"optimised"`
	Detailed  []DetailFrame    `json:"detailed"`
	Everyone  []Member         `json:"everyone"`         // at most MaxMembers
	Thread    *snapshot.Thread `json:"thread,omitempty"` // the kernel's view of the sample's thread
	Waits     []Edge           `json:"waits"`            // from and to its members, at most 100
}

// MaxMembers bounds GroupDetail.Everyone.
const MaxMembers = 10_000

// DetailFrame is a frame with what could be read of its variables.
type DetailFrame struct {
	Frame
	PC        string              `json:"pc"` // hexadecimal
	Arguments []snapshot.Variable `json:"arguments,omitempty"`
	Locals    []snapshot.Variable `json:"locals,omitempty"`
}

// SourceText is the text around a frame's line. Without Lines, Why says why.
type SourceText struct {
	File  string       `json:"file"`
	Line  int          `json:"line"`
	Lines []SourceLine `json:"lines"`
	Link  string       `json:"link,omitempty"`
	Why   string       `json:"why,omitempty"`
	Stale string       `json:"stale,omitempty"` // the file is newer than the build: a sentence
}

// SourceLine is one line of it.
type SourceLine struct {
	Number int    `json:"number"`
	Text   string `json:"text"`
}

// Normal marks a stack as normal for a service, or takes that back.
type Normal struct {
	Key    string `json:"key"` // of a Group
	Normal bool   `json:"normal"`
}

// Output is what the instance wrote last.
type Output struct {
	Lines    []OutputLine `json:"lines"`    // those that match, from offset, at most limit (default 1000)
	Total    int          `json:"total"`    // lines that match the text and the time
	All      int          `json:"all"`      // lines
	Problems []string     `json:"problems"` // cut, missing
}

// OutputLine is one line.
type OutputLine struct {
	Number int      `json:"number"`
	Text   string   `json:"text"`
	At     *float64 `json:"at,omitempty"` // seconds from the verdict; of a line without a time, none
}

// Compare holds two readings side by side.
type Compare struct {
	Left       Occurrence          `json:"left"`
	Right      Occurrence          `json:"right"`
	Comparison snapshot.Comparison `json:"comparison"`
	// Groups has the stacks of Comparison.Groups, same order.
	Groups []ComparedGroup `json:"groups"`
	Why    string          `json:"why,omitempty"` // why there is nothing to compare
}

// ComparedGroup is a stack of a comparison.
type ComparedGroup struct {
	Frames []Frame `json:"frames"`
}

// Timeline is one axis of time, in seconds, zero at the verdict.
type Timeline struct {
	Zero       time.Time        `json:"zero"`
	From       float64          `json:"from"`
	To         float64          `json:"to"`
	Moments    []Moment         `json:"moments"` // oldest first, at most MaxMoments
	Series     []Series         `json:"series"`
	At         []float64        `json:"at"`    // times of all Series
	Spans      []Span           `json:"spans"` // states, failing probes, times without samples
	Activities []ActivitySeries `json:"activities"`
	Problems   []string         `json:"problems"`
}

// MaxMoments bounds a Timeline.
const MaxMoments = 20_000

// Moment is one event.
type Moment struct {
	At   float64 `json:"at"`
	Kind string  `json:"kind"` // of snapshot.Moment
	Text string  `json:"text"`
}

// Series is one measured value over Timeline.At; null where it was not measured.
type Series struct {
	Name   string     `json:"name"` // "processor", "memory", "threads", "descriptors", "beats", "silence", "output lines", "output bytes", "processor pressure", ...
	Unit   string     `json:"unit"` // "cores", "bytes", "", "per second", "seconds", "share" (from 0 to 1)
	Values []*float64 `json:"values"`
}

// Span is a time in which something holds.
type Span struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
	Kind string  `json:"kind"` // "gap", "state", "probe", "silence"
	Text string  `json:"text"`
}

// ActivitySeries is one sign of life: the seconds in which it was seen, and the
// times for which it was missed.
type ActivitySeries struct {
	Name  string    `json:"name"` // its kind and its name
	Beats []float64 `json:"beats"`
	Gaps  []Span    `json:"gaps"` // from when it was seen last until it was seen again, where it was judged late
}

// Flame is a tree of frames, outermost first, by count. Small nodes are merged
// so that there are at most MaxFlame.
type Flame struct {
	Noun   string    `json:"noun"`
	Root   FlameNode `json:"root"`
	Merged int       `json:"merged"` // nodes left out
}

// MaxFlame bounds the nodes of a Flame.
const MaxFlame = 5000

// FlameNode is a function that Count members have at this place.
type FlameNode struct {
	Function string      `json:"function"`
	File     string      `json:"file,omitempty"`
	Line     int         `json:"line,omitempty"`
	Count    int         `json:"count"`
	Runtime  bool        `json:"runtime,omitempty"`
	Groups   []int       `json:"groups,omitempty"` // indices, at most 20
	Children []FlameNode `json:"children,omitempty"`
}

// Waits is the wait-for graph, as much of it as can be looked at.
type Waits struct {
	Nodes    []Node  `json:"nodes"` // at most MaxNodes: cycles first, then those that most wait for
	Edges    []Edge  `json:"edges"` // between Nodes
	Cycles   []Cycle `json:"cycles"`
	Left     int     `json:"left"` // nodes left out
	Sentence string  `json:"sentence"`
	Why      string  `json:"why,omitempty"` // why there is no graph
}

// MaxNodes bounds a Waits.
const MaxNodes = 300

// Node is a goroutine or thread, or several that wait for the same in the same
// way.
type Node struct {
	ID     int64  `json:"id"` // of the first
	Count  int    `json:"count"`
	Label  string `json:"label"` // "g7 main.transfer", "g8 and 50 more"
	Group  int    `json:"group"` // index in stacks.json, -1: not known
	Status string `json:"status"`
	Cycle  bool   `json:"cycle"`
}

// Edge says that one waits for another.
type Edge struct {
	From    int64           `json:"from"`
	To      int64           `json:"to"` // 0: not known who
	Kind    string          `json:"kind"`
	Name    string          `json:"name,omitempty"`
	Address string          `json:"address,omitempty"` // hexadecimal
	Certain bool            `json:"certain"`
	Any     bool            `json:"any"`
	Cycle   bool            `json:"cycle"`
	Place   *snapshot.Place `json:"place,omitempty"`
	Count   int             `json:"count"`
}

// Cycle is a deadlock.
type Cycle struct {
	Sentence string  `json:"sentence"`
	Members  []int64 `json:"members"`
	Certain  bool    `json:"certain"`
}
