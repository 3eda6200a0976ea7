package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
)

// recover makes the services of the configuration out of what the keeper and
// the notes say. On the very first start both say nothing: there is one way to
// begin.
func (s *Supervisor) recover(rec recovered) error {
	if err := os.MkdirAll(filepath.Join(s.opt.RuntimeDir, notifyDir), 0o711); err != nil {
		return fmt.Errorf("cannot make the directory of notify sockets: %w", err)
	}
	s.openMemory(rec)
	current, helpers := map[string]recoveredChild{}, map[string]recoveredChild{}
	for _, c := range rec.children {
		old, ok := current[c.Key]
		switch {
		case c.Helper:
			helpers[protocol.ID(c.Key, c.Started.Instance)] = c
		case ok && old.Started.Instance > c.Started.Instance:
			c.files.close()
			old.follows = true
			current[c.Key] = old
		default:
			c.follows = ok
			old.files.close()
			current[c.Key] = c
		}
	}
	s.takeTracers(helpers)
	for _, cfg := range s.config.Services {
		c, has := current[cfg.Name]
		delete(current, cfg.Name)
		if _, err := s.recoverService(cfg, rec, c, has, false); err != nil {
			return err
		}
	}
	if err := s.recoverLeaving(rec, current); err != nil {
		return err
	}
	s.settleMemory()
	s.order.known = true
	s.takeUpJobs(rec.notes, helpers)
	return nil
}

func (s *Supervisor) recoverService(cfg config.Service, rec recovered, c recoveredChild, has, leaving bool) (*service, error) {
	v, err := newService(s, cfg)
	if err != nil {
		return nil, err
	}
	s.services[cfg.Name] = v
	s.names = append(s.names, cfg.Name)
	v.limit, v.leaving = beatLimit(cfg), leaving
	v.socket = rec.files[notifyFile(cfg.Name)]
	v.recoverPage(rec.files[pageFile(cfg.Name)], c.Started.PID)
	v.recoverGimli(rec.files[gimliFile(cfg.Name)], c.Started.PID)
	if err := v.recover(rec.notes[cfg.Name], c, has); err != nil {
		return nil, err
	}
	v.recoverReady(rec.files[readyFile(cfg.Name)])
	return v, nil
}

// endHelper ends what belongs to nothing any more.
func (s *Supervisor) endHelper(c recoveredChild) {
	c.files.close()
	id := protocol.ID(c.Key, c.Started.Instance)
	if !c.Empty {
		s.ask(protocol.TKill, protocol.Kill{ID: id})
	}
	s.ask(protocol.TRelease, protocol.Name{Name: id})
}

// recover takes up one service where the note left it. What happened since is
// told by the keeper's events, which follow; only a start whose answer got lost
// is settled here.
func (v *service) recover(text []byte, c recoveredChild, has bool) error {
	if len(text) > 0 {
		var n note
		if err := json.Unmarshal(text, &n); err != nil {
			v.s.event(v.cfg.Name, "alert", "its note cannot be read, its past is forgotten: "+err.Error())
			n = note{}
		} else {
			v.noted = true
		}
		v.life, v.incident, v.sentence, v.limit = n.Life, n.Incident, n.Sentence, n.Limit
		v.exe, v.runtime, v.status, v.done, v.hash, v.stopSent = n.Exe, n.Runtime, n.Status, n.Done, n.Hash, n.StopSent
		v.timeline.list = n.Story
		v.order.orderNote = n.Order
		v.keepFormerWay(c, has)
	}
	if n := (note{Life: v.life, Hash: v.hash, Order: v.order.orderNote}); n.mustRestart(v.cfg) && !v.leaving {
		v.s.changed = append(v.s.changed, v.cfg.Name)
	}
	v.reconcile(c, has)
	switch {
	case !has && v.life.State == lifecycle.Starting && !v.life.Alive:
		v.spawn(v.life.Again) // the request never arrived, or failed unheard
	case !has || c.Waiting:
		c.files.close()
	default:
		v.recoverChild(c)
	}
	// Only now is it known who may speak for the service.
	if v.socket != nil && v.receiver == nil {
		return v.listen()
	}
	return nil
}

// reconcile settles what the note and the keeper do not agree on, which happens
// only when a keeper was killed and something of what it left was lost (a full
// disk, a file that somebody removed). What runs counts.
func (v *service) reconcile(c recoveredChild, has bool) {
	switch {
	case has && c.Started.Instance > v.life.Instance && !c.follows:
		v.s.event(v.cfg.Name, "alert", fmt.Sprintf("instance %d is there, of which no note tells", c.Started.Instance))
		v.life.State, v.life.Up, v.life.Instance = lifecycle.Starting, true, c.Started.Instance
		v.life.Alive, v.life.Pending, v.life.Tree, v.life.Asked = false, c.Waiting, true, false
		v.life.Ready = !c.Waiting // whether it was, nobody knows any more
	case !has && (v.life.Alive || v.life.Tree && !v.final() && v.life.State != lifecycle.Starting):
		instance := v.life.Instance
		v.s.later(func() { v.vanish(instance) })
	}
}

// vanish ends an instance of which nobody knows anything any more.
func (v *service) vanish(instance uint64) {
	why := "the keeper knows nothing of its process any more"
	v.step(lifecycle.Event{Kind: lifecycle.EventCaptured, Instance: instance, Err: why})
	v.step(lifecycle.Event{Kind: lifecycle.EventExited, Instance: instance, Exit: lifecycle.End{Code: -1}, Sentence: why})
	v.step(lifecycle.Event{Kind: lifecycle.EventEmpty, Instance: instance})
}

func (v *service) recoverChild(c recoveredChild) {
	status := v.status
	v.adopt(c.Started, c.files)
	v.status, v.stopped = status, c.Stopped
	if v.life.State == lifecycle.Starting && !v.life.Alive && c.Started.Instance == v.life.Instance {
		v.step(lifecycle.Event{Kind: lifecycle.EventSpawned, Instance: c.Started.Instance})
	}
	if c.Adopted && v.life.State == lifecycle.Starting && c.Started.Instance == v.life.Instance {
		// A datagram to a dead keeper's socket is refused, and no client sends it
		// again; a descriptor is at its end. A probe asks again.
		v.life.Unheard = v.cfg.Ready.Notify || v.cfg.Ready.FD != 0
	}
	v.arm()
	if v.life.State == lifecycle.Suspect {
		// Who suspected it is gone; every sign has its whole limit again.
		v.step(lifecycle.Event{Kind: lifecycle.EventRecovered, Instance: v.life.Instance})
	}
	if v.life.State == lifecycle.Stopping && v.life.Asked && v.life.Alive && c.Exit == nil && v.stopSent != v.life.Instance {
		v.sendStop() // meant, and perhaps never sent
	}
	if c.Stopped != 0 {
		v.watch.Suspend()
	}
	v.recoverFarewell(c)
	if v.s.welcome.Beginning == protocol.BeginCandidate {
		return // a reload is no event for those that it leaves alone
	}
	v.s.event(v.cfg.Name, "found", fmt.Sprintf("found running as pid %d, for %s now", c.Started.PID, human(clock.Boot()-c.Started.Boot)))
}
