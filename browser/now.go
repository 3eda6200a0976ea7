package browser

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/control"
)

// Bounds of questions to the running vigil.
const (
	nowTime    = 5 * time.Second
	askTime    = 60 * time.Second
	nowSignals = 200
)

// now answers GET now.
func (s *Server) now(w http.ResponseWriter, r *http.Request) {
	out := api.Now{Time: time.Now().UTC(), Services: []control.Service{}, Signals: []control.SignalEntry{}}
	ctx, cancel := context.WithTimeout(r.Context(), nowTime)
	defer cancel()
	if err := s.fillNow(ctx, &out); err != nil {
		out.Why = err.Error()
	}
	reply(w, out)
}

func (s *Server) fillNow(ctx context.Context, out *api.Now) error {
	c, err := s.control()
	if err != nil {
		return err
	}
	i, err := c.Instance(ctx)
	if err != nil {
		return err
	}
	out.Instance = &i
	services, err := c.Services(ctx, nil)
	if err != nil {
		return err
	}
	out.Services = append(out.Services, services...)
	signals, err := c.Signals(ctx, control.SignalsQuery{Limit: nowSignals})
	if err != nil {
		return err
	}
	out.Signals = append(out.Signals, signals...)
	return nil
}

var errNotLive = errors.New("no running vigil is served here: the incidents are read from their files")

func (s *Server) control() (Control, error) {
	if s.o.Control == nil {
		return nil, errNotLive
	}
	return s.o.Control()
}

// act is what all changes have in common: they may be made, they are bounded, and
// the log says who made them.
func act[A, R any](s *Server, w http.ResponseWriter, r *http.Request, what string, do func(ctx context.Context, c Control, a A) (R, error)) {
	var a A
	if !decode(w, r, &a) {
		return
	}
	if !s.o.MayAct {
		fail(w, http.StatusForbidden, "read-only", "this browser was started to read only")
		return
	}
	c, err := s.control()
	if err != nil {
		fail(w, http.StatusConflict, control.CodeConflict, "%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTime)
	defer cancel()
	s.log.Info("asked for from a page", zap.String("what", what), zap.Any("ask", a), zap.String("from", r.RemoteAddr))
	result, err := do(ctx, c, a)
	if err != nil {
		failWith(w, err)
		return
	}
	reply(w, result)
}

func (s *Server) ask(w http.ResponseWriter, r *http.Request) {
	act(s, w, r, "ask", func(ctx context.Context, c Control, a control.Ask) ([]control.Result, error) {
		switch a.Verb {
		case control.Start, control.Stop, control.Restart:
		default:
			return nil, badRequest("the verb is start, stop or restart, not %q", cut(string(a.Verb)))
		}
		if len(a.Services) == 0 {
			return nil, badRequest("no service is named")
		}
		return c.Ask(ctx, a)
	})
}

func (s *Server) snapshot(w http.ResponseWriter, r *http.Request) {
	act(s, w, r, "snapshot", func(ctx context.Context, c Control, a control.Snapshot) ([]control.SnapshotResult, error) {
		return c.Snapshot(ctx, a)
	})
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	act(s, w, r, "reload", func(ctx context.Context, c Control, _ struct{}) (control.Demanded, error) {
		return c.Reload(ctx)
	})
}
