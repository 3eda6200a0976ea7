package lifecycle

import (
	"fmt"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// EventKind says what happened.
type EventKind uint8

// The events.
const (
	EventStart       EventKind = iota // an operator or autostart wants it up
	EventStop                         // an operator wants it down
	EventRestart                      // an operator wants another instance
	EventSpawned                      // the start worked: the program runs
	EventSpawnFailed                  // the start did not work; Err
	EventAgain                        // the keeper carried out the standing order; Exit of the old instance
	EventAgainFailed                  // it tried, and the start did not work; Exit, Err
	EventExited                       // the main process has ended; Exit
	EventEmpty                        // the whole tree is gone
	EventReady                        // it says that it serves
	EventStopping                     // it says that it is about to end by itself
	EventSuspect                      // a sign of life is late; Cause, Sentence
	EventRecovered                    // it came after all
	EventConfirmed                    // it is dead or stuck; Cause, Sentence
	EventCaptured                     // the evidence is taken, or cannot be; Err
	EventTimer                        // the Deadline is reached
	EventExtend                       // it asks for more time; Extend
	EventGate                         // Settings.Held has changed
	eventCount
)

var eventNames = [eventCount]string{"start", "stop", "restart", "spawned", "spawn-failed", "again", "again-failed",
	"exited", "empty", "ready", "announced-stop", "suspect", "recovered", "confirmed", "captured", "timer", "extend", "gate"}

// EventKinds lists all kinds.
func EventKinds() []EventKind {
	out := make([]EventKind, eventCount)
	for i := range out {
		out[i] = EventKind(i)
	}
	return out
}

func (k EventKind) String() string {
	if k < eventCount {
		return eventNames[k]
	}
	return fmt.Sprintf("event-%d", uint8(k))
}

// Event is one thing that happened. Instance is checked for every event about
// a process: one of another instance changes nothing, since events can come
// twice.
type Event struct {
	Kind     EventKind
	Instance uint64
	Exit     End
	Cause    snapshot.Cause // of Suspect and Confirmed; of Exited when the caller knows better (oom)
	Sentence string
	Err      string
	Fatal    bool // of SpawnFailed: no further try will do better by itself
	Extend   time.Duration
	// Farewell, of Confirmed: once the evidence is taken the program ends by
	// itself, and has the time of a stop for it.
	Farewell bool
}

// End is how a process ended.
type End struct {
	Code   int  `json:"code"`             // exit status; -1 when unknown or by signal
	Signal int  `json:"signal,omitempty"` // number, 0 when it exited
	Core   bool `json:"core,omitempty"`
}

// ActionKind says what is to be done.
type ActionKind uint8

// The actions.
const (
	ActionSpawn        ActionKind = iota // start instance Instance; Again: with a standing order
	ActionStopSignal                     // ask the main process to end
	ActionKillTree                       // end all of the tree
	ActionCapture                        // freeze and copy; answer with Captured
	ActionOrder                          // set (Again) or withdraw the standing order
	ActionEvidence                       // keep what an unasked end leaves; Cause, Sentence
	ActionSuspendBeats                   // beats are not judged
	ActionResumeBeats                    // beats are judged again, from now
	ActionAnnounce                       // the state changed; Text
	ActionAlert                          // somebody should know; Text
	ActionDone                           // it ended for good
	ActionFarewell                       // the evidence is taken: have it end by itself
	actionCount
)

var actionNames = [actionCount]string{"spawn", "stop-signal", "kill-tree", "capture", "order", "evidence",
	"suspend-beats", "resume-beats", "announce", "alert", "done", "farewell"}

func (k ActionKind) String() string {
	if k < actionCount {
		return actionNames[k]
	}
	return fmt.Sprintf("action-%d", uint8(k))
}

// Action is one thing to do.
type Action struct {
	Kind     ActionKind
	Instance uint64
	Again    bool
	Cause    snapshot.Cause
	Sentence string
	Text     string
}
