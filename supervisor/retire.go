package supervisor

import (
	"time"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

const (
	// handOverTime bounds each step of handing over, and closeTime all of what
	// follows: a disk or a client that hangs must not leave the services
	// without a supervisor. The keeper ends us if this takes longer.
	handOverTime = time.Second
	closeTime    = 3 * time.Second
	serverTime   = 500 * time.Millisecond // for clients to take their answers
)

// handedOver names nothing: dropping it only asks the keeper for an answer.
const handedOver = "vigil/handed-over"

// handOver brings all that is known to the keeper before we end: what has been
// read from a service exists nowhere else. Clients are refused from now on,
// and ask the successor.
func (s *Supervisor) handOver() {
	s.retired = true
	var ending []<-chan struct{}
	for _, v := range s.services {
		if v.receiver != nil {
			ending = append(ending, v.stopReceiving())
		}
	}
	silent := false
	go func() {
		for _, done := range ending {
			<-done
		}
		s.post(func() { silent = true })
	}()
	s.runUntil(&silent)
	s.drain()
	// The keeper answers in order: then it also knows what was sent before.
	known := false
	s.check(s.keeper.send(protocol.TDropFile, protocol.Name{Name: handedOver}, nil, func(protocol.Message) { known = true }))
	s.runUntil(&known)
	s.events.log = nil // the memory is the successor's from now on
}

// runUntil carries out tasks until one of them has set done.
func (s *Supervisor) runUntil(done *bool) {
	limit := time.NewTimer(handOverTime)
	defer limit.Stop()
	for !*done && s.fatal == nil {
		select {
		case task := <-s.tasks:
			task()
			s.runLater()
		case <-limit.C:
			return
		}
	}
}

// stopReceiving ends the receiver. What it has read by then still comes.
func (v *service) stopReceiving() <-chan struct{} {
	var r *watchdog.Receiver
	r, v.receiver = v.receiver, nil
	_ = r.Close()
	return r.Done()
}
