package probe

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

// session is a session of ZooKeeper that lives as long as its first connection.
// The library behind it would connect again for ever; here it may not, and
// another session is opened when one is asked for.
type session struct {
	conn   *zk.Conn
	events <-chan zk.Event
	life   context.Context
	cancel context.CancelFunc
	notice atomic.Pointer[notice] // who is told of demands that were sent

	connected chan struct{} // closed with the TCP connection
	ready     chan struct{} // closed with the session
	lost      chan struct{} // closed when it is of no use any more
	ended     chan struct{} // closed when all of its goroutines have ended
	pending   atomic.Int32  // calls that are not answered

	once struct{ ready, lost, shut sync.Once }
	mu   sync.Mutex
	why  error // why it is lost
	wire net.Conn
}

var (
	errLost    = errors.New("the server closed the connection")
	errSilence = errors.New("no answer in the time of the attempt")
)

// Bounds of the library, which takes 1.5 MiB for each buffer otherwise.
const (
	maxFrame   = 64 << 10
	closeGrace = 500 * time.Millisecond // for the server to answer the end of a session
)

// openSession begins to connect. Its limit is that of who awaits it.
func openSession(address string, timeout time.Duration) *session {
	s := &session{
		connected: make(chan struct{}), ready: make(chan struct{}), lost: make(chan struct{}), ended: make(chan struct{}),
	}
	s.life, s.cancel = context.WithCancel(context.Background())
	hosts := &oneHost{address: address}
	dial := func(_, address string, _ time.Duration) (net.Conn, error) { return s.dial(address) }
	conn, events, err := zk.Connect([]string{address}, timeout,
		zk.WithDialer(dial), zk.WithHostProvider(hosts), zk.WithEventCallback(s.onEvent),
		zk.WithLogger(log.New(io.Discard, "", 0)), zk.WithLogInfo(false),
		zk.WithMaxBufferSize(maxFrame), zk.WithMaxConnBufferSize(maxFrame))
	if err != nil { // our hosts refuse nothing
		s.fail(err)
		s.once.shut.Do(func() { s.cancel(); close(s.ended) })
		return s
	}
	s.conn, s.events = conn, events
	return s
}

// oneHost is the only server; its name is looked up with each connection.
type oneHost struct {
	address string
	again   bool
}

func (*oneHost) Init([]string) error { return nil }
func (*oneHost) Len() int            { return 1 }
func (*oneHost) Connected()          {}

func (h *oneHost) Next() (server string, retryStart bool) {
	retryStart, h.again = h.again, true // the library waits a second then
	return h.address, retryStart
}

// dial connects, the first time.
func (s *session) dial(address string) (net.Conn, error) {
	s.mu.Lock()
	first := s.wire == nil && s.why == nil
	s.mu.Unlock()
	if !first {
		s.fail(errLost)
		return nil, errLost
	}
	c, err := (&net.Dialer{}).DialContext(s.life, "tcp", address)
	if err != nil {
		s.fail(&dialError{address, err})
		return nil, err
	}
	w := &wire{Conn: c, session: s, gets: map[uint32]struct{}{}}
	s.mu.Lock()
	s.wire = w
	s.mu.Unlock()
	close(s.connected)
	if s.life.Err() != nil {
		_ = c.Close() // cut meanwhile
	}
	return w, nil
}

// dialError is a connection that could not be made.
type dialError struct {
	address string
	err     error
}

func (e *dialError) Error() string {
	return dialText(context.Background(), time.Now(), e.address, e.err)
}
func (e *dialError) Unwrap() error { return e.err }

// onEvent is called by the library's goroutines.
func (s *session) onEvent(e zk.Event) {
	if e.Type != zk.EventSession {
		return
	}
	switch e.State {
	case zk.StateHasSession:
		s.once.ready.Do(func() { close(s.ready) })
	case zk.StateDisconnected, zk.StateExpired, zk.StateAuthFailed:
		s.fail(errLost)
	}
}

// fail makes the session useless, for the first reason given.
func (s *session) fail(why error) {
	s.mu.Lock()
	if s.why == nil {
		s.why = why
	}
	s.mu.Unlock()
	s.once.lost.Do(func() { close(s.lost) })
}

func (s *session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

func (s *session) notify(n *notice) { s.notice.Store(n) }

func (s *session) usable() bool {
	select {
	case <-s.lost:
		return false
	default:
		return s.pending.Load() < maxPending
	}
}

// await waits for the session, and names the step that failed otherwise.
func (s *session) await(ctx context.Context) (step string, err error) {
	step = stepConnect
	select {
	case <-s.connected:
		step = stepSession
	case <-s.lost:
		return step, s.reason()
	case <-ctx.Done():
		return step, errSilence
	}
	select {
	case <-s.ready:
		return "", nil
	case <-s.lost:
		return step, s.reason()
	case <-ctx.Done():
		return step, errSilence
	}
}

// call makes a call of the library end with ctx. What is called then goes on
// until it is answered or the session is shut.
func call[T any](ctx context.Context, s *session, do func(*zk.Conn) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	got := make(chan answer, 1)
	s.pending.Add(1)
	go func() {
		defer s.pending.Add(-1)
		v, err := do(s.conn)
		got <- answer{v, err}
	}()
	var none T
	select {
	case a := <-got:
		return a.value, a.err
	case <-s.lost:
		return none, s.reason()
	case <-ctx.Done():
		return none, errSilence
	}
}

// shut ends the session: with a word to the server, if it listens. It returns
// at once; ended tells when all is over.
func (s *session) shut() {
	s.once.shut.Do(func() {
		go func() {
			defer close(s.ended)
			select {
			case <-s.ready:
			default:
				s.cut() // there is nothing to say goodbye to
			}
			late := time.AfterFunc(closeGrace, s.cut)
			s.conn.Close()
			late.Stop()
			s.cut()
			for range s.events { // closed at the end of the library's loop
			}
		}()
	})
}

// cut ends what waits for the network.
func (s *session) cut() {
	s.cancel()
	s.mu.Lock()
	w := s.wire
	s.mu.Unlock()
	if w != nil {
		_ = w.Close() // nothing of it is needed
	}
}
