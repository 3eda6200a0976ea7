package keeper

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// link is the connection to one supervisor. Sending never blocks the loop: a
// goroutine writes, behind a bounded queue. A supervisor that lets the queue
// fill does not read any more, and is cut off; the next one recovers.
type link struct {
	conn *protocol.Conn
	once sync.Once
	gone chan struct{}
	wake chan struct{} // holds a token when something waits to be written

	mu    sync.Mutex
	queue []protocol.Message
}

// maxQueue bounds the queue: a recovery of maxChildren fits.
const maxQueue = 4 * maxChildren

// request is a request that awaits its answer.
type request struct {
	link *link
	id   uint64
}

// received is what came over a link; err means that the link is over.
type received struct {
	link *link
	msg  protocol.Message
	err  error
}

func newLink(conn *protocol.Conn) *link {
	return &link{conn: conn, wake: make(chan struct{}, 1), gone: make(chan struct{})}
}

// serve begins to receive and to send.
func (l *link) serve(inbox chan<- received, done <-chan struct{}) {
	go l.receive(inbox, done)
	go l.send(done)
}

func (l *link) receive(inbox chan<- received, done <-chan struct{}) {
	for {
		m, err := l.conn.Receive()
		select {
		case inbox <- received{l, m, err}:
		case <-done:
			m.CloseFiles()
			return
		}
		if err != nil {
			return
		}
	}
}

func (l *link) send(done <-chan struct{}) {
	defer l.drain()
	for {
		select {
		case <-l.wake:
		case <-l.gone:
			return
		case <-done:
			return
		}
		over := false
		for _, m := range l.take() {
			if over {
				m.CloseFiles()
				continue
			}
			err := l.conn.Send(m)
			m.CloseFiles()
			switch {
			case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
				// It is gone. What it had sent before is still to be read.
				over = true
			case err != nil:
				l.close()
			}
		}
		if over {
			return
		}
	}
}

func (l *link) take() []protocol.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue
	l.queue = nil
	return q
}

func (l *link) drain() {
	for _, m := range l.take() {
		m.CloseFiles()
	}
}

// put queues a message. The descriptors are duplicated: the loop may close its
// own before the message is written.
func (l *link) put(m protocol.Message, files []int) {
	for _, fd := range files {
		nfd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			m.CloseFiles()
			l.close()
			return
		}
		m.Files = append(m.Files, nfd)
	}
	l.mu.Lock()
	full := len(l.queue) >= maxQueue
	if !full {
		l.queue = append(l.queue, m)
	}
	l.mu.Unlock()
	if full {
		m.CloseFiles()
		l.close()
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) close() {
	if l == nil {
		return
	}
	l.once.Do(func() {
		close(l.gone)
		l.conn.Close()
	})
}

func (s *supervisor) sendEvent(e protocol.Event, files []int) {
	if s.link == nil || !s.ready {
		return // it will recover, and be told then
	}
	m, err := protocol.Make(protocol.TEvent, e.Seq, s.epoch, e)
	if err != nil {
		s.link.close()
		return
	}
	s.link.put(m, files)
}

// reply answers a request, if whoever asked is still there.
func (s *supervisor) reply(r request, t protocol.Type, body any, files ...int) {
	if r.link == nil || r.link != s.link {
		return
	}
	r.answer(t, s.epoch, body, files)
}

// respond answers a request of whoever asked.
func (k *Keeper) respond(r request, t protocol.Type, body any) { r.answer(t, 0, body, nil) }

func (r request) answer(t protocol.Type, epoch uint64, body any, files []int) {
	m, err := protocol.Make(t, r.id, epoch, body)
	if err != nil {
		r.link.close()
		return
	}
	r.link.put(m, files)
}
