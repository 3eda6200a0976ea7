package protocol

import "fmt"

// Type says what a frame is.
type Type uint8

// Requests of the supervisor, and what answers them.
const (
	THello    Type = 1 + iota // Hello -> TWelcome Welcome, or TReply
	TRecover                  // -> any number of TChild, TFile, TNote, then TRecovered
	TStart                    // Start -> TStarted Started with [pidfd, stdout, stderr], or TReply
	TSignal                   // Signal -> TReply
	TKill                     // Kill -> TReply at once; an Empty event follows
	TMain                     // Main -> TReply
	TOrder                    // Order -> TReply
	TPutFile                  // Name with one descriptor -> TReply
	TDropFile                 // Name -> TReply
	TPutNote                  // Note -> TReply; an empty text removes it
	TRelease                  // Name -> TReply: forget a child that is gone
	TAck                      // Ack, not answered
	TBeat                     // not answered: the supervisor's loop moves
	TReady                    // not answered: recovered, and in charge; with the configuration, as a descriptor
	TQuit                     // Quit -> TReply; then the keeper ends with that status
	TPlan                     // of a candidate: Plan -> TWelcome with an epoch once the place is free, or TReply
	TReload                   // Reload -> TReply at once, with the number of the demand
	TOutcome                  // Outcome of a demand, not answered
	TLedger                   // LedgerQuery -> TEntries
)

// Answers and reports of the keeper.
const (
	TWelcome Type = 64 + iota
	TReply
	TChild     // Child with [pidfd, stdout, stderr], as far as they exist: see Child.Files
	TFile      // Name with one descriptor
	TNote      // Note
	TRecovered // empty
	TStarted   // Started with [pidfd, stdout, stderr]
	TEvent     // Event, with [pidfd, stdout, stderr] for EventRestarted
	TEntries   // Entries
	TRetire    // a successor stands by: finish what is at hand, and end
)

var typeNames = map[Type]string{
	THello: "hello", TRecover: "recover", TStart: "start", TSignal: "signal", TKill: "kill", TMain: "main",
	TOrder: "order", TPutFile: "put-file", TDropFile: "drop-file", TPutNote: "put-note", TRelease: "release",
	TAck: "ack", TBeat: "beat", TReady: "ready", TQuit: "quit", TWelcome: "welcome", TReply: "reply",
	TChild: "child", TFile: "file", TNote: "note", TRecovered: "recovered", TStarted: "started", TEvent: "event",
	TPlan: "plan", TReload: "reload", TRetire: "retire",
	TOutcome: "outcome", TLedger: "ledger", TEntries: "entries",
}

// String returns the name of the type, or its number.
func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("type-%d", uint8(t))
}

// Known reports whether the type is one of this version.
func (t Type) Known() bool { _, ok := typeNames[t]; return ok }
