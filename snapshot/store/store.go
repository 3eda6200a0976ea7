package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// What a caller can test for with errors.Is. A full disk is unix.ENOSPC, or
// unix.EDQUOT for a quota.
var (
	ErrNotFound  = errors.New("store: no such incident")
	ErrAmbiguous = errors.New("store: more than one incident")
	ErrReadOnly  = errors.New("store: opened for reading only")
	ErrClosed    = errors.New("store: this incident is not being written any more")
	ErrBusy      = errors.New("store: this incident is being written")
	ErrFinished  = errors.New("store: this incident is complete")
	ErrLocked    = errors.New("store: another process has been changing it")
)

// Modes of what the store creates.
const (
	dirPerm  = 0o700
	filePerm = 0o600
)

// Store is a directory of incidents. It holds no descriptor and needs no
// closing. Its methods may be called from several goroutines.
type Store struct {
	root     string
	readOnly bool

	mu     sync.Mutex
	active map[string]bool // ids that this process is writing
}

// Open opens the store in dir, and creates dir with mode 0700 when it does not
// exist. The mode of a directory that exists is left alone: an operator may
// have opened it to a group on purpose.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, dirPerm); err != nil {
		return nil, fmt.Errorf("cannot open incident store %s: %w", dir, err)
	}
	return open(dir, false)
}

// OpenRead opens the store in dir for reading. It never creates or changes
// anything; an absent directory is an error that wraps os.ErrNotExist.
func OpenRead(dir string) (*Store, error) { return open(dir, true) }

func open(dir string, readOnly bool) (*Store, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open incident store %s: %w", dir, err)
	}
	d, err := os.OpenFile(root, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open incident store %s: %w", dir, err)
	}
	if err := d.Close(); err != nil {
		return nil, fmt.Errorf("cannot open incident store %s: %w", dir, err)
	}
	return &Store{root: root, readOnly: readOnly, active: make(map[string]bool)}, nil
}

// Root returns the absolute path of the directory that holds the incidents.
func (s *Store) Root() string { return s.root }

// path returns the directory of an incident. The id must be valid.
func (s *Store) path(id string) string { return filepath.Join(s.root, id) }

// take claims an id for this process; it reports false when it is taken.
func (s *Store) take(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active[id] {
		return false
	}
	s.active[id] = true
	return true
}

func (s *Store) release(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.active, id)
}

func (s *Store) isActive(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active[id]
}
