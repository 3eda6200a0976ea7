package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/order"
)

// stopWay is how an instance was meant to be stopped when it was started.
type stopWay struct {
	signal  syscall.Signal
	timeout time.Duration
}

// readNote reads the note of a service; ok is false when there is none, or
// none that can be read.
func readNote(text []byte) (n note, ok bool) {
	return n, len(text) > 0 && json.Unmarshal(text, &n) == nil
}

// mustRestart reports whether the instance that the note tells of has to be
// replaced to get to cfg. One that is down, or waits for its next start, takes
// the new configuration by itself.
func (n note) mustRestart(cfg config.Service) bool {
	onItsWay := n.Life.State == lifecycle.Waiting || n.Order.Down == order.Stop
	return n.Hash != "" && n.Hash != cfg.Hash() && !onItsWay && (n.Life.Up || n.Life.State == lifecycle.Failed)
}

// keepFormerWay remembers how to stop an instance that was started with a
// configuration that has changed: as that one said.
func (v *service) keepFormerWay(c recoveredChild, has bool) {
	if !has || c.Waiting || v.hash == "" || v.hash == v.cfg.Hash() && !v.leaving {
		return
	}
	v.former = &stopWay{syscall.Signal(c.StopSignal), c.StopTimeout}
	v.set.StopTimeout = c.StopTimeout
}

// takeConfigured makes the configuration the one that the next instance is
// started with.
func (v *service) takeConfigured() {
	v.hash, v.former = v.cfg.Hash(), nil
	v.set.StopTimeout = v.cfg.StopTimeout
}

// applyChanges restarts what runs with a configuration of before, and stops
// what is not in it any more. A successor that finds it half done goes on.
func (s *Supervisor) applyChanges() {
	for _, name := range s.changed {
		v := s.services[name]
		s.event(name, "changed", "its configuration has changed: it is restarted")
		v.wantDown(order.Restart)
	}
	for _, name := range s.leaving {
		v := s.services[name]
		s.event(name, "removed", "it is not in the configuration any more: it is stopped")
		if v.final() {
			s.forget(v)
			continue
		}
		v.wantDown(order.Stop)
	}
	s.changed, s.leaving = nil, nil
	s.keepOrder()
	s.runLater()
}

// recoverLeaving takes up the services that the configuration does not have:
// those with a note are stopped as they were meant to be; processes without one
// are ended.
func (s *Supervisor) recoverLeaving(rec recovered, rest map[string]recoveredChild) error {
	for key, text := range rec.notes {
		if isJobNote(key) || s.services[key] != nil {
			continue
		}
		n, ok := readNote(text)
		if !ok {
			s.ask(protocol.TPutNote, protocol.Note{Key: key})
			continue
		}
		c, has := rest[key]
		delete(rest, key)
		cfg, err := config.Command(key, []string{"-"})
		if err != nil {
			return fmt.Errorf("cannot take leave of service %q: %w", key, err)
		}
		cfg.Autostart = false
		n.orderOf(&cfg)
		if n.LogDir != "" && n.LogDir != filepath.Join(s.opt.StateDir, dirLogs) {
			cfg.Log.Directory = n.LogDir
		}
		if has {
			cfg.StopSignal, cfg.StopTimeout = syscall.Signal(c.StopSignal), c.StopTimeout
		}
		if _, err := s.recoverService(cfg, rec, c, has, true); err != nil {
			return err
		}
		s.leaving = append(s.leaving, key)
	}
	for _, c := range rest {
		s.endHelper(c)
		s.log.Info("a process without a note is not ours any more; it is ended", zap.String("service", c.Key))
	}
	return nil
}

// forget drops a service that has left the configuration and has stopped.
func (s *Supervisor) forget(v *service) {
	name := v.cfg.Name
	if s.services[name] != v {
		return
	}
	delete(s.services, name)
	v.endRecord()
	s.order.graph, s.order.due = nil, true
	s.names = slices.DeleteFunc(s.names, func(n string) bool { return n == name })
	// Before the note goes: a successor that finds that does all of this again.
	_ = os.Remove(v.socketPath())
	s.ask(protocol.TPutNote, protocol.Note{Key: name})
	s.ask(protocol.TDropFile, protocol.Name{Name: notifyFile(name)})
	s.ask(protocol.TDropFile, protocol.Name{Name: pageFile(name)})
	v.dropPage()
	s.ask(protocol.TDropFile, protocol.Name{Name: gimliFile(name)})
	v.dropGimli()
	s.event(name, "removed", "it has stopped and is forgotten; its files stay")
	go v.close(s.ctx)
}

// onReload takes what came of a reload.
func (s *Supervisor) onReload(e protocol.Event) {
	close(s.reloadOver)
	s.reloadOver = make(chan struct{})
	s.event("", "reload", "reload "+e.Text)
}
