package supervisor

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/supervisor/config"
)

// begin is the way from a new process to one that is in charge. A candidate
// goes it in two parts: what needs no epoch first, and the rest when its
// predecessor has made room. inCharge is false for a candidate that withdrew.
func (s *Supervisor) begin() (inCharge bool, err error) {
	if s.welcome, err = s.keeper.hello(s.opt.Version); err != nil {
		return false, err
	}
	if s.welcome.Beginning == protocol.BeginCandidate {
		if ok, err := s.apply(); err != nil || !ok {
			return false, err
		}
	}
	rec, err := s.keeper.recover()
	if err != nil {
		return false, err
	}
	if s.config == nil {
		if s.config, err = s.loadConfig(rec.files[protocol.ConfigFile]); err != nil {
			return false, &BadConfig{err}
		}
	}
	s.noteLimits()
	s.takeEvents(rec.files[eventsFile])
	s.takeSamples(rec.files[samplesFile])
	past := s.events.list
	if err := s.recover(rec); err != nil {
		return false, err
	}
	s.takeTimelines(past)
	if err := s.serve(); err != nil {
		return false, err
	}
	kept, err := keepable(s.config)
	if err != nil {
		return false, err
	}
	defer kept.Close()
	return true, s.keeper.send(protocol.TReady, struct{}{}, []*os.File{kept}, nil)
}

// apply is a candidate's application for the place: load, check, plan, and
// wait for the epoch.
func (s *Supervisor) apply() (granted bool, err error) {
	rec, err := s.keeper.recover()
	if err != nil {
		return false, err
	}
	plan := protocol.Plan{Version: s.opt.Version}
	if s.config, err = s.opt.Load(); err != nil {
		plan.Refused = strings.TrimSpace(err.Error())
	} else {
		planChanges(&plan, s.config, rec.notes)
	}
	if err := s.keeper.send(protocol.TPlan, plan, nil, nil); err != nil {
		return false, err
	}
	if plan.Refused != "" {
		return false, nil
	}
	if s.welcome, err = s.keeper.welcomed(); err != nil {
		return false, err
	}
	return true, nil
}

// planChanges compares the configuration with what runs.
func planChanges(p *protocol.Plan, c *config.Config, notes map[string][]byte) {
	for _, cfg := range c.Services {
		n, ok := readNote(notes[cfg.Name])
		switch {
		case !ok:
			p.Add = append(p.Add, cfg.Name)
		case n.mustRestart(cfg):
			p.Restart = append(p.Restart, cfg.Name)
		default:
			p.Leave = append(p.Leave, cfg.Name)
		}
	}
	for key := range notes {
		if _, ok := c.Service(key); !ok && !isJobNote(key) {
			p.Remove = append(p.Remove, key)
		}
	}
}

func isJobNote(key string) bool { return strings.HasPrefix(key, jobKey) }

// loadConfig reads the configuration of a supervisor that takes the place of
// a crashed one: the one that was last accepted. Without one it is the first.
func (s *Supervisor) loadConfig(kept *os.File) (*config.Config, error) {
	if s.welcome.Beginning != protocol.BeginAgain || kept == nil {
		return s.opt.Load()
	}
	text, err := io.ReadAll(io.NewSectionReader(kept, 0, maxKeptConfig+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration that the keeper keeps: %w", err)
	}
	if len(text) > maxKeptConfig {
		return nil, fmt.Errorf("cannot read the configuration that the keeper keeps: more than %d bytes", maxKeptConfig)
	}
	var c config.Config
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("cannot read the configuration that the keeper keeps: %w", err)
	}
	return &c, nil
}

// maxKeptConfig bounds the kept configuration, in bytes.
const maxKeptConfig = 64 << 20

// keepable is the configuration in memory that the keeper can hold.
func keepable(c *config.Config) (*os.File, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the configuration: %w", err)
	}
	return sealed("vigil-config", text)
}
