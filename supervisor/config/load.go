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
	files, err := systemFiles(systemFile, systemDrop)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%w: name one, or make %s or %s", ErrNoFiles, localFile, systemFile)
	}
	return files, err
}

// systemFiles returns the main file, if there is one, and those that match drop
// in the order of their names.
func systemFiles(main, drop string) ([]string, error) {
	var files []string
	if _, err := os.Stat(main); err == nil {
		files = append(files, main)
	}
	more, err := filepath.Glob(drop)
	if err != nil {
		return nil, fmt.Errorf("cannot look for %s: %w", drop, err)
	}
	slices.Sort(more)
	return append(files, more...), nil
}

// Load reads the files as one configuration. The error is Errors: all mistakes,
// at most MaxErrors of them with their places.
func Load(files []string) (*Config, error) {
	l := newLoader(files)
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			l.whole(file, err.Error())
			continue
		}
		l.read(file, data)
	}
	l.check()
	if l.count > 0 {
		return nil, l.sorted(files)
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

func defaultService(name string) Service {
	return Service{
		Name: name, InheritEnvironment: true, StartTimeout: 60 * time.Second, StopSignal: syscall.SIGTERM, StopTimeout: 20 * time.Second,
		Runtime: "auto", Autostart: true, OutputTail: 64 << 10, Restart: restart.Default(),
		Heartbeat: Heartbeat{Activities: 63},
		Capture:   Capture{Recorder: true, AnalysisBudget: time.Minute, Variables: true, CoreLimit: 1 << 30},
		Log:       Log{MaxSize: 64 << 20, Keep: 8, Compress: "zstd", MinFree: Free{Percent: 5}},
	}
}

func defaultIncidents() Incidents {
	return Incidents{MaxBytes: 4 << 30, MaxAge: 30 * 24 * time.Hour, MinFree: Free{Percent: 10}, MinFreeInodes: 5, MaxPerFingerprint: 100}
}

// Command is the service of `vigil run`: a command with every default. The
// error is Errors.
func Command(name string, argv []string) (Service, error) {
	s := defaultService(name)
	s.Command = argv
	return s, s.alone()
}

// Single is a configuration of one service that no file holds. Its keys have
// been changed since Command, so they are checked again. The error is Errors.
func Single(s Service) (*Config, error) {
	if err := s.alone(); err != nil {
		return nil, err
	}
	c := &Config{Services: []Service{s}, Incidents: defaultIncidents()}
	c.Hash = digest([]any{c.Services, c.Incidents})
	return c, nil
}

// alone checks a service that no file holds.
func (s *Service) alone() error {
	var d decoder
	if !validName(s.Name) {
		d.fail(place{}, "%s", badName(s.Name))
	}
	s.settle(&d)
	if d.count > 0 {
		return d.sorted(nil)
	}
	return nil
}
