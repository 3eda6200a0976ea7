package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/vigil-supervisor/vigil/control"
)

// Bounds of a server. Those that are exported a client may meet.
const (
	MaxBody     = 64 << 10 // bytes of a request
	MaxServices = 1000     // names in a request
	MaxRequests = 128      // at a time; more are refused with 503
	MaxLines    = 100_000  // of kept output in one request

	headerTime = 5 * time.Second  // for the head of a request
	readTime   = 10 * time.Second // for all of it
	writeTime  = 10 * time.Second // for a reply that is not a stream
	idleTime   = time.Minute
	maxHeader  = 16 << 10
)

// CodeForbidden is the code of a request by a user who may not ask.
const CodeForbidden = "forbidden"

// TrailerError is the HTTP trailer in which a stream that was cut short says
// why: a control.Error in JSON.
const TrailerError = "Vigil-Error"

// HeaderVersion is the header of every reply with control.Version.
const HeaderVersion = "Vigil-Api-Version"

// Server is a running server.
type Server struct {
	backend control.Backend
	owner   int
	http    *http.Server
	slots   chan struct{} // one for each request at a time

	ending    context.Context // ends when streams must
	endStream context.CancelFunc
	done      chan struct{}
	err       error // of serving; read after done
}

// Serve answers on ln until Shutdown, and owns ln from now on. Connections
// must be of a unix socket; others are refused since their user is not known.
func Serve(ln net.Listener, b control.Backend) *Server { return serve(ln, b, os.Geteuid()) }

func serve(ln net.Listener, b control.Backend, owner int) *Server {
	s := &Server{backend: b, owner: owner, slots: make(chan struct{}, MaxRequests), done: make(chan struct{})}
	s.ending, s.endStream = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           s.guard(s.routes()),
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       readTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(&bounded{Listener: ln}); !errors.Is(err, http.ErrServerClosed) {
			s.err = fmt.Errorf("cannot serve the control socket: %w", err)
		}
	}()
	return s
}

// connKey is the key of the connection in the context of a request.
type connKey struct{}

// Done is closed when the server does not accept any more.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns why the server ended without Shutdown. Call it after Done.
func (s *Server) Err() error {
	<-s.done
	return s.err
}

// Shutdown stops accepting, ends streams, waits for the other requests, and
// closes all connections when ctx ends before that; it then returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.endStream()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("cannot wait for control requests: %w", err), s.http.Close())
	}
	<-s.done
	return err
}

// guard is in front of every route.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(HeaderVersion, strconv.Itoa(control.Version))
		if err := s.allow(r); err != nil {
			// A stranger gets no second try on this connection.
			w.Header().Set("Connection", "close")
			fail(w, http.StatusForbidden, CodeForbidden, err)
			return
		}
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		default:
			fail(w, http.StatusServiceUnavailable, control.CodeFailed,
				fmt.Errorf("there are %d requests already; try again", MaxRequests))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		next.ServeHTTP(w, r)
	})
}

// allow says why the peer of a request may not ask.
func (s *Server) allow(r *http.Request) error {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok {
		return errors.New("cannot tell who asks")
	}
	if c.err != nil {
		return fmt.Errorf("cannot tell who asks: %w", c.err)
	}
	if c.uid == 0 || c.uid == s.owner {
		return nil
	}
	return fmt.Errorf("uid %d may not control this vigil, only root and uid %d", c.uid, s.owner)
}
