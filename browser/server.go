package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// Control is what the server needs of a running vigil; *client.Client has it.
type Control interface {
	Instance(ctx context.Context) (control.Instance, error)
	Services(ctx context.Context, names []string) ([]control.Service, error)
	Signals(ctx context.Context, q control.SignalsQuery) ([]control.SignalEntry, error)
	Events(ctx context.Context, follow bool, emit func(control.Event) error) error
	Ask(ctx context.Context, a control.Ask) ([]control.Result, error)
	Snapshot(ctx context.Context, a control.Snapshot) ([]control.SnapshotResult, error)
	Reload(ctx context.Context) (control.Demanded, error)
}

// Source is a place that incidents come from.
type Source struct {
	Name   string // short and unique: it stands in addresses
	Path   string
	Kind   string // "store" or "bundle"
	Reader store.Reader
	Close  func() error // nil: nothing; for who made the source
}

// Options say what is served to whom.
type Options struct {
	Version string // of vigil
	// Token opens a session; "": nobody needs one, as on a unix socket whose file
	// only its owner may open.
	Token string
	// Hosts are the values of Host that are answered, so that no name of a
	// stranger can be made to lead here (DNS rebinding). One without a port stands
	// for every port.
	Hosts   []string
	Secure  bool // served by TLS
	Sources []Source
	Control func() (Control, error) // nil: nothing runs; else asked for each time it is needed
	MayAct  bool
	// NormalFile keeps which stacks are normal for which service; "": they are
	// forgotten at the end.
	NormalFile string
	Log        *zap.Logger // nil: none
}

// Server answers requests until it is closed.
type Server struct {
	o        Options
	log      *zap.Logger
	sessions sessions
	normal   *normal
	index    *index
	cases    cases
	live     *live
	routes   *http.ServeMux
	handler  http.Handler

	end  context.CancelFunc
	over sync.WaitGroup
}

// New makes a server and begins to watch its sources.
func New(o Options) (*Server, error) {
	if len(o.Hosts) == 0 {
		return nil, errors.New("cannot serve the browser: no host name is allowed")
	}
	n, err := openNormal(o.NormalFile)
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, log: o.Log, normal: n}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	ctx, end := context.WithCancel(context.Background())
	s.end = end
	s.index = newIndex(o.Sources)
	s.live = newLive()
	s.index.changed = s.announce
	s.routes = http.NewServeMux()
	s.addRoutes()
	s.handler = s.guard(s.routes)
	s.over.Go(func() { s.watch(ctx) })
	if o.Control != nil {
		s.over.Go(func() { s.followEvents(ctx) })
	}
	return s, nil
}

// Handler answers everything below "/".
func (s *Server) Handler() http.Handler { return s.handler }

// Close ends what the server has going on. Streams end with it.
func (s *Server) Close() {
	s.end()
	s.live.close()
	s.over.Wait()
}

// HTTPServer is an http.Server with the bounds that fit: requests are small and
// come at once, answers may stream.
func HTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
}

// HTML writes an incident as one file that opens offline.
func (s *Server) HTML(w io.Writer, id string, share bool) error { return s.writeHTML(w, id, share) }

func (s *Server) about() api.About {
	a := api.About{Version: s.o.Version, API: api.Version, Live: s.o.Control != nil, MayAct: s.o.MayAct && s.o.Control != nil, Sources: []api.Source{}}
	for _, src := range s.o.Sources {
		a.Sources = append(a.Sources, api.Source{Name: src.Name, Path: src.Path, Kind: src.Kind, Problem: s.index.problem(src.Name)})
	}
	return a
}

func errNoIncident(id string) error {
	return fmt.Errorf("cannot find incident %q: %w", id, store.ErrNotFound)
}
