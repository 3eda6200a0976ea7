package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/control"
)

// Bounds of the stream.
const (
	maxListeners = 16
	maxUnread    = 256 // messages to one listener; then they are dropped, and it is told
	aliveEvery   = 15 * time.Second
	lookEvery    = 10 * time.Second // at sources whose changes nobody tells
	settle       = 200 * time.Millisecond
	againEvents  = 2 * time.Second // after the end of the stream of events
)

// live hands messages to those that listen.
type live struct {
	mu        sync.Mutex
	listeners map[*listener]bool
	closed    chan struct{}
	once      sync.Once
}

type listener struct {
	messages chan api.Live
	lost     int // guarded by live.mu
}

func newLive() *live {
	return &live{listeners: map[*listener]bool{}, closed: make(chan struct{})}
}

func (l *live) close() { l.once.Do(func() { close(l.closed) }) }

// join adds a listener; nil when there are too many.
func (l *live) join() *listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.listeners) >= maxListeners {
		return nil
	}
	one := &listener{messages: make(chan api.Live, maxUnread)}
	l.listeners[one] = true
	return one
}

func (l *live) leave(one *listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.listeners, one)
}

func (l *live) tell(m api.Live) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for one := range l.listeners {
		if one.lost > 0 {
			select {
			case one.messages <- api.Live{Kind: "lost", Lost: one.lost}:
				one.lost = 0
			default:
				one.lost++
				continue
			}
		}
		select {
		case one.messages <- m:
		default:
			one.lost++
		}
	}
}

// stream answers GET live.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	one := s.live.join()
	if one == nil {
		fail(w, http.StatusServiceUnavailable, "too-many", "%d pages listen already", maxListeners)
		return
	}
	defer s.live.leave(one)
	out := http.NewResponseController(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	write := func(format string, args ...any) bool {
		_ = out.SetWriteDeadline(time.Now().Add(aliveEvery)) // a reader that hangs is let go
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return false
		}
		return out.Flush() == nil
	}
	if !write("retry: 2000\n\n") {
		return
	}
	for {
		select {
		case m := <-one.messages:
			text, err := json.Marshal(m)
			if err != nil || !write("event: %s\ndata: %s\n\n", m.Kind, text) {
				return
			}
		case <-alive.C:
			if !write(": alive\n\n") {
				return
			}
		case <-s.live.closed:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// announce tells of what is new, and of what is gone.
func (s *Server) announce(fresh []*entry, gone []string) {
	for _, e := range fresh {
		o := occurrence(e)
		s.live.tell(api.Live{Kind: "incident", ID: e.ID, New: &o})
	}
	for _, id := range gone {
		s.live.tell(api.Live{Kind: "removed", ID: id})
	}
}

// watch keeps the index fresh and tells of what is new.
func (s *Server) watch(ctx context.Context) {
	var events <-chan fsnotify.Event
	var problems <-chan error
	if w, err := fsnotify.NewWatcher(); err == nil {
		defer w.Close()
		events, problems = w.Events, w.Errors
		for _, src := range s.o.Sources {
			if src.Kind == "store" {
				if err := w.Add(src.Path); err != nil {
					s.log.Warn("cannot watch a store; it is looked at now and then", zap.String("path", src.Path), zap.Error(err))
				}
			}
		}
	}
	s.index.refresh(time.Now(), true)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	soon := time.NewTimer(settle)
	defer soon.Stop()
	for {
		select {
		case <-events:
			soon.Reset(settle)
		case err := <-problems:
			s.log.Warn("cannot hear of changes of a store", zap.Error(err))
			soon.Reset(settle)
		case <-soon.C:
			s.index.refresh(time.Now(), true)
			if s.index.unfinished() {
				soon.Reset(settle) // its end happens inside of its directory
			}
		case <-tick.C:
			s.index.refresh(time.Now(), true)
		case <-ctx.Done():
			return
		}
	}
}

// followEvents passes the events of the running vigil on, and joins again after
// its supervisor was replaced.
func (s *Server) followEvents(ctx context.Context) {
	var last uint64
	for ctx.Err() == nil {
		if c, err := s.o.Control(); err == nil {
			first := last == 0
			_ = c.Events(ctx, true, func(e control.Event) error { // ends with the supervisor
				if e.Seq > last || first {
					last = max(last, e.Seq)
					s.live.tell(api.Live{Kind: "event", Event: &e})
				}
				return nil
			})
		}
		select {
		case <-time.After(againEvents):
		case <-ctx.Done():
		}
	}
}
