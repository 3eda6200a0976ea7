package keeper

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// link is the connection to one supervisor. Sending never blocks the loop: a
// goroutine writes, behind a bounded queue. A supervisor that lets the queue
// fill does not read any more, and is cut off; the next one recovers.
type link struct {
	conn  *protocol.Conn
	queue chan protocol.Message
	once  sync.Once
	gone  chan struct{}
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

func newLink(conn *protocol.Conn, inbox chan<- received, done <-chan struct{}) *link {
	l := &link{conn: conn, queue: make(chan protocol.Message, 256), gone: make(chan struct{})}
	go l.receive(inbox, done)
	go l.send(done)
	return l
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
	for {
		select {
		case m := <-l.queue:
			err := l.conn.Send(m)
			m.CloseFiles()
			if err != nil {
				l.close()
			}
		case <-l.gone:
			l.drain()
			return
		case <-done:
			l.drain()
			return
		}
	}
}

func (l *link) drain() {
	for {
		select {
		case m := <-l.queue:
			m.CloseFiles()
		default:
			return
		}
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
	select {
	case l.queue <- m:
	default:
		m.CloseFiles()
		l.close()
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
	m, err := protocol.Make(t, r.id, s.epoch, body)
	if err != nil {
		r.link.close()
		return
	}
	r.link.put(m, files)
}
