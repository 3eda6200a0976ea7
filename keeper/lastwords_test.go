package keeper

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// reaped waits until the keeper has taken the end of the process.
func (s *super) reaped() {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !errors.Is(unix.Kill(s.pid, 0), unix.ESRCH); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatal("nobody reaps the supervisor")
		}
	}
}

// The reaper may see the end of a supervisor before the loop has all that it
// said: its notes and its Quit count.
func TestLastWords(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	s.die(0)
	s.reaped()
	s.send(protocol.TQuit, protocol.Quit{Status: 7})
	s.silence()
	r.wait(7)
}

// Answers to one that is gone do not keep what it said from being read.
func TestLastNotes(t *testing.T) {
	r := newRig(t, 0)
	s, _ := r.charge()
	const count = 100
	for i := range count {
		s.send(protocol.TPutNote, protocol.Note{Key: fmt.Sprint(i), Text: []byte("x")})
	}
	unix.Shutdown(s.own, unix.SHUT_RD) // every answer is EPIPE
	s.send(protocol.TPutNote, protocol.Note{Key: "last", Text: []byte("x")})
	s.exit(0)
	_, rec := r.charge()
	if len(rec.notes) != count+1 {
		t.Errorf("%d notes, want %d", len(rec.notes), count+1)
	}
	r.end(0)
}
