package main

import (
	"maps"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

// loadConfig reads the files that are named, or those of the usual places.
func loadConfig(names []string) (*config.Config, error) {
	files, err := config.Files(names)
	if err != nil {
		return nil, err
	}
	return config.Load(files)
}

// commandConfig is the configuration of `vigil run`.
func (f *runFlags) commandConfig(name string, command []string) (*config.Config, error) {
	s, err := config.Command(name, command)
	if err != nil {
		return nil, err
	}
	if err := f.apply(&s); err != nil {
		return nil, err
	}
	return config.Single(s)
}

// apply sets what the flags say. Flags that are not given leave the default.
func (f *runFlags) apply(s *config.Service) error {
	if f.restart != "" {
		mode, err := restart.ParseMode(f.restart)
		if err != nil {
			return err
		}
		s.Restart.Mode = mode
	}
	for _, d := range []struct {
		value string
		to    *time.Duration
	}{
		{f.heartbeat, &s.Heartbeat.Timeout}, {f.stopTimeout, &s.StopTimeout},
		{f.startTimeout, &s.StartTimeout}, {f.captureBudget, &s.Capture.Budget},
	} {
		if d.value == "" {
			continue
		}
		value, err := config.ParseDuration(d.value)
		if err != nil {
			return err
		}
		*d.to = value
	}
	if f.stopSignal != "" {
		signal, err := config.ParseSignal(f.stopSignal)
		if err != nil {
			return err
		}
		s.StopSignal = signal
	}
	s.Ready.Notify = f.ready == "notify"
	s.User, s.Group = f.user, f.group
	if f.directory != "" {
		s.Directory = f.directory
	}
	env := maps.Clone(s.Environment)
	if env == nil {
		env = make(map[string]string, len(f.environment))
	}
	for _, e := range f.environment {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	s.Environment = env
	return nil
}
