package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

// Where a configuration is looked for when none is named.
const (
	localFile  = "vigil.toml"
	systemFile = "/etc/vigil/vigil.toml"
	systemDrop = "/etc/vigil/conf.d/*.toml"
)

// Files returns the files to read: those named, or ./vigil.toml, or those of
// the system. ErrNoFiles when there is none.
func Files(args []string) ([]string, error) {
	if len(args) > 0 {
		return args, nil
	}
	if _, err := os.Stat(localFile); err == nil {
		return []string{localFile}, nil
	}
	var files []string
	if _, err := os.Stat(systemFile); err == nil {
		files = append(files, systemFile)
	}
	more, err := filepath.Glob(systemDrop)
	if err != nil {
		return nil, fmt.Errorf("cannot look for %s: %w", systemDrop, err)
	}
	slices.Sort(more)
	if files = append(files, more...); len(files) == 0 {
		return nil, fmt.Errorf("%w: name one, or make %s or %s", ErrNoFiles, localFile, systemFile)
	}
	return files, nil
}

// Load reads the files as one configuration. The error is Errors: all mistakes,
// at most MaxErrors of them with their places.
func Load(files []string) (*Config, error) {
	l := loader{config: &Config{Files: files, Incidents: defaultIncidents()}}
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			l.errs = append(l.errs, Error{File: file, Message: err.Error()})
			continue
		}
		l.read(file, data)
	}
	l.check()
	if len(l.errs) > 0 {
		return nil, sorted(l.errs, files)
	}
	slices.SortFunc(l.config.Services, func(a, b Service) int { return strings.Compare(a.Name, b.Name) })
	l.config.Hash = digest([]any{l.config.Services, l.config.Incidents})
	return l.config, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unwrapPath(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return nil, unwrapPath(err)
	}
	if len(data) > MaxFileSize {
		return nil, fmt.Errorf("cannot read it: it is larger than %d bytes", MaxFileSize)
	}
	return data, nil
}

// unwrapPath drops the path, which the error names anyway.
func unwrapPath(err error) error {
	var perr *os.PathError
	if errors.As(err, &perr) {
		return fmt.Errorf("cannot %s it: %w", perr.Op, perr.Err)
	}
	return err
}

// loader collects services over several files.
type loader struct {
	config *Config
	errs   Errors
	seen   map[string]place
}

func (l *loader) read(file string, data []byte) {
	doc := parseDocument(file, data)
	l.errs = append(l.errs, doc.errs...)
	d := decoder{}
	for _, name := range doc.root.names {
		e := doc.root.keys[name]
		switch name {
		case "service":
			if d.isTable(e.value, "service") {
				l.services(&d, e.value)
			}
		case "incidents":
			if d.isTable(e.value, "incidents") {
				d.table(incidentRows(), target{incidents: &l.config.Incidents}, e.value, map[string]place{})
			}
		default:
			hint := suggest(name, []string{"service", "incidents"})
			if hint == "" {
				hint = elsewhere(name, "-")
			}
			d.fail(e.at, "unknown key %q%s", name, hint)
		}
	}
	l.errs = append(l.errs, d.errs...)
}

func (l *loader) services(d *decoder, n *node) {
	if l.seen == nil {
		l.seen = map[string]place{}
	}
	for _, name := range n.names {
		e := n.keys[name]
		if !validName(name) {
			d.fail(e.at, "%q cannot be the name of a service: 1 to 64 of A-Z a-z 0-9 . _ @ -, the first a letter or digit", name)
			continue
		}
		old, twice := l.seen[name]
		if twice {
			d.fail(e.at, "service %q is already defined at %s", name, old)
		} else {
			l.seen[name] = e.at
		}
		if e.value.kind != unstable.Table {
			d.fail(e.value.at, "service %q must be a table, not %s", name, kindName(e.value.kind))
			continue
		}
		s := defaultService(name)
		s.places = map[string]place{"": e.at}
		d.table(serviceRows(), target{service: &s}, e.value, s.places)
		if twice {
			continue // its mistakes are told all the same
		}
		l.config.Services = append(l.config.Services, s)
	}
}

// check is what one key alone cannot tell.
func (l *loader) check() {
	if len(l.config.Services) == 0 && len(l.errs) == 0 && len(l.config.Files) > 0 {
		l.errs = append(l.errs, Error{File: l.config.Files[0], Message: "there is no service in it: add a table like [service.web] with a command"})
	}
	for i := range l.config.Services {
		s := &l.config.Services[i]
		l.errs = append(l.errs, s.settle()...)
	}
}

// settle fills in what depends on other keys, and finds contradictions.
func (s *Service) settle() Errors {
	d := decoder{}
	switch {
	case s.places["command"].doc == nil && s.Command == nil:
		d.fail(s.place(""), "service %q has no command", s.Name)
	case len(s.Command) == 0 || s.Command[0] == "":
		d.fail(s.place("command"), "the command of service %q is empty", s.Name)
	}
	ways := 0
	for _, set := range []bool{s.Ready.Notify, s.Ready.FD != 0, s.Ready.After != 0} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		d.fail(s.place("ready"), "a service is ready in one way: notify, after or fd")
	}
	h := &s.Heartbeat
	switch {
	case h.Timeout == 0 && h.Suspect != 0:
		d.fail(s.place("heartbeat.suspect"), "suspect needs a timeout")
	case h.Suspect == 0:
		h.Suspect = h.Timeout * 6 / 10
	case h.Suspect >= h.Timeout:
		d.fail(s.place("heartbeat.suspect"), "suspect (%s) must be shorter than timeout (%s)", h.Suspect, h.Timeout)
	}
	if s.Restart.Min > s.Restart.Max {
		d.fail(s.place("restart.backoff.min"), "min (%s) must not be longer than max (%s)", s.Restart.Min, s.Restart.Max)
	}
	return d.errs
}

// place is where a key of the service stands, or the service itself.
func (s *Service) place(key string) place {
	if p, ok := s.places[key]; ok {
		return p
	}
	return s.places[""]
}

func defaultService(name string) Service {
	return Service{
		Name: name, InheritEnvironment: true, StartTimeout: 60 * time.Second, StopSignal: syscall.SIGTERM, StopTimeout: 20 * time.Second,
		Runtime: "auto", Autostart: true, OutputTail: 64 << 10, Restart: restart.Default(),
		Capture: Capture{Budget: 2 * time.Second, AnalysisBudget: time.Minute, Variables: true, CoreLimit: 1 << 30},
		Log:     Log{MaxSize: 64 << 20, Keep: 8, Compress: "none"},
		places:  map[string]place{},
	}
}

func defaultIncidents() Incidents {
	return Incidents{MaxBytes: 4 << 30, MaxAge: 30 * 24 * time.Hour, MinFree: Free{Percent: 10}}
}

// Command is the service of `vigil run`: a command with every default.
func Command(name string, argv []string) (Service, error) {
	s := defaultService(name)
	if !validName(name) {
		return s, fmt.Errorf("%q cannot be the name of a service: 1 to 64 of A-Z a-z 0-9 . _ @ -, the first a letter or digit", name)
	}
	s.Command = argv
	if errs := s.settle(); len(errs) > 0 {
		return s, errs
	}
	return s, nil
}

// Single is a configuration of one service that no file holds. Its keys have
// been changed since Command, so they are checked again.
func Single(s Service) (*Config, error) {
	if errs := s.settle(); len(errs) > 0 {
		return nil, errs
	}
	c := &Config{Services: []Service{s}, Incidents: defaultIncidents()}
	c.Hash = digest([]any{c.Services, c.Incidents})
	return c, nil
}
