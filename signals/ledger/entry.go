package ledger

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vigil-supervisor/vigil/signals"
)

// maxSenders is how many senders an entry names beside the first.
const maxSenders = 8

// maxText bounds target and outcome, in bytes.
const maxText = 512

// maxCommand bounds a command, in bytes; comm of proc(5) has 15, those of
// kernel threads up to 63.
const maxCommand = 64

// Entry is a signal, with those that were merged with it before it was carried
// out, and what came of it.
type Entry struct {
	Seq    uint64         `json:"seq"`    // from 1, without gaps, goes on over restarts
	Time   time.Time      `json:"time"`   // wall clock when the first arrived
	Boot   time.Duration  `json:"boot"`   // CLOCK_BOOTTIME then, in nanoseconds
	Signal string         `json:"signal"` // empty: asked for over the control socket, no signal
	Code   int32          `json:"code"`   // si_code of the first
	Demand signals.Demand `json:"demand"`
	Target string         `json:"target"` // a service, empty for vigil itself
	Sender signals.Sender `json:"sender"` // of the first
	// Count is the number of deliveries, the first included: those by Sender,
	// those in Senders, and Others.
	Count   int       `json:"count"`
	Senders []Further `json:"senders,omitempty"` // at most 8
	Others  int       `json:"others"`            // by further senders, or by unknown ones
	Last    time.Time `json:"last"`              // when the last arrived
	Outcome string    `json:"outcome"`           // empty while it is pending
}

// Further is another sender of merged signals.
type Further struct {
	signals.Sender
	Count int `json:"count"`
}

func newEntry(seq uint64, r signals.Record, d signals.Demand, target string) Entry {
	name := ""
	if r.Signal != 0 {
		name = signals.Name(r.Signal)
	}
	return Entry{
		Seq: seq, Time: r.Wall, Boot: r.Boot, Signal: name, Code: r.Code, Demand: d, Target: shorten(target, maxText),
		Sender: r.Sender, Count: r.Count, Others: r.Unnamed, Last: r.Wall,
	}
}

// add merges r. Who sent the unnamed part of it nobody knows.
func (e *Entry) add(r signals.Record) {
	e.Count += r.Count
	e.Others += r.Unnamed
	if e.Signal == "" && r.Signal != 0 { // asked for by a client first
		e.Signal, e.Code = signals.Name(r.Signal), r.Code
	}
	if r.Wall.After(e.Last) {
		e.Last = r.Wall
	}
	named := r.Count - r.Unnamed
	if named == 0 || e.Sender.Same(r.Sender) {
		return
	}
	for i := range e.Senders {
		if e.Senders[i].Same(r.Sender) {
			e.Senders[i].Count += named
			return
		}
	}
	if len(e.Senders) == maxSenders {
		e.Others += named
		return
	}
	e.Senders = append(e.Senders, Further{Sender: r.Sender, Count: named})
}

// bySender is how many are of the first sender.
func (e *Entry) bySender() int {
	n := e.Count - e.Others
	for _, f := range e.Senders {
		n -= f.Count
	}
	return n
}

func (e *Entry) clone() Entry {
	c := *e
	c.Senders = slices.Clone(e.Senders)
	return c
}

// shorten makes s valid UTF-8 of at most limit bytes.
func shorten(s string, limit int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= limit {
		return s
	}
	cut := limit - len("...")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}
