package signals

import "slices"

// Inbox decides when a demand that came by signal is carried out. A demand is a
// level, not a count: one that waits takes in every further one of its kind,
// for it has not begun yet and will see what they wanted seen. One that was
// handed out has begun, so the next of its kind waits as an entry of its own.
//
// Hence of each demand at most one runs and at most one waits, and whatever is
// received is in exactly one entry. Stop overtakes everything. A reload changes
// who would carry out the rest, so while one runs only Stop and Dump are handed
// out; after a Stop was handed out reloads are refused. A further Stop adds
// nothing to one that runs and is part of it.
//
// It belongs to one goroutine. The zero value is empty and ready.
type Inbox struct {
	waiting  [len(ranks)]uint64 // entry by rank, 0 for none
	running  [len(ranks)]uint64
	stopping bool
}

// ranks is the order in which waiting demands are handed out. Beat and Capture
// concern a service, and None nobody: they are not for the inbox.
var ranks = [...]Demand{Stop, Dump, Reload, Reopen, Snapshot}

const (
	rankStop = iota
	rankDump
	rankReload
)

func rank(d Demand) (int, bool) {
	for i, r := range ranks {
		if r == d {
			return i, true
		}
	}
	return 0, false
}

// Refusal is the outcome of a reload that came too late.
const Refusal = "refused: stopping"

// Task is a demand handed out.
type Task struct {
	Demand Demand
	ID     uint64 // of the entry
	// Refuse is the outcome of a task that must not be carried out, else empty.
	// A refused task is over; Done is not for it.
	Refuse string
}

// Merge tells that entry ID is over and what it stood for is part of entry Into.
type Merge struct{ ID, Into uint64 }

// Open returns the entry that a further demand would be merged with.
func (in *Inbox) Open(d Demand) (id uint64, ok bool) {
	i, ok := rank(d)
	if !ok {
		return 0, false
	}
	if in.waiting[i] != 0 {
		return in.waiting[i], true
	}
	if i == rankStop && in.running[i] != 0 {
		return in.running[i], true
	}
	return 0, false
}

// Received takes in a demand. Where Open names an entry it is that one's, and
// merged is true; else it waits as entry id, which must be new and not 0. A
// demand that is not for the inbox is not kept: into is 0.
func (in *Inbox) Received(d Demand, id uint64) (into uint64, merged bool) {
	if open, ok := in.Open(d); ok {
		return open, true
	}
	i, ok := rank(d)
	if !ok {
		return 0, false
	}
	in.waiting[i] = id
	return id, false
}

// Next hands out the demand that is to be carried out now, until Done or Lost.
// ok is false when there is none; it is to be asked again after every call of
// Received, Done and Lost.
func (in *Inbox) Next() (task Task, ok bool) {
	for i, id := range in.waiting {
		switch {
		case id == 0:
		case i == rankReload && in.stopping:
			in.waiting[i] = 0
			return Task{Demand: ranks[i], ID: id, Refuse: Refusal}, true
		case in.running[i] != 0:
		case i >= rankReload && in.running[rankReload] != 0:
		default:
			in.waiting[i], in.running[i] = 0, id
			in.stopping = in.stopping || i == rankStop
			return Task{Demand: ranks[i], ID: id}, true
		}
	}
	return Task{}, false
}

// Done ends a task that was handed out. ok is false when there is none of that
// id: an answer that comes after Lost changes nothing.
func (in *Inbox) Done(id uint64) (d Demand, ok bool) {
	for i, running := range in.running {
		if id != 0 && running == id {
			in.running[i] = 0
			return ranks[i], true
		}
	}
	return None, false
}

// Lost is for when the one who carried out the tasks died: what was handed out
// and is not done waits again, but for the demands that somebody else carries
// out. Where one of its kind waits already, the older entry becomes part of that
// one, and is returned.
func (in *Inbox) Lost(but ...Demand) (merged []Merge) {
	for i, id := range in.running {
		switch {
		case slices.Contains(but, ranks[i]):
			continue
		case id == 0:
		case in.waiting[i] == 0:
			in.waiting[i] = id
		default:
			merged = append(merged, Merge{ID: id, Into: in.waiting[i]})
		}
		in.running[i] = 0
	}
	return merged
}

// Running returns the entry of a demand that is being carried out.
func (in *Inbox) Running(d Demand) (id uint64, ok bool) {
	i, ok := rank(d)
	if !ok || in.running[i] == 0 {
		return 0, false
	}
	return in.running[i], true
}

// Stopping reports whether a Stop was ever handed out.
func (in *Inbox) Stopping() bool { return in.stopping }
