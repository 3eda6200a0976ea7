package browser

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// Bounds of what is kept loaded.
const (
	maxCases     = 4
	maxCaseBytes = 256 << 20 // on disk; a larger one is kept alone
)

// incidentCase is an incident with all that its pages show.
type incidentCase struct {
	entry   *entry
	full    store.Full
	world   *snapshot.World
	tree    *snapshot.Tree
	runtime *snapshot.RuntimeReport
	samples *snapshot.Samples
	suspect *snapshot.Process
	key     string
	stamp   string // changes when the incident does
	bytes   int64
}

// cases are those that were looked at last.
type cases struct {
	mu   sync.Mutex
	list []*incidentCase // the last one used is the last
}

// open loads an incident, or finds it loaded.
func (s *Server) open(id string) (*incidentCase, error) {
	e, err := s.index.find(id)
	if err != nil {
		return nil, err
	}
	stamp, err := stampOf(e)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errGone
	}
	key := e.source.Name + "/" + id
	// One load at a time: two large ones at once would need the memory of both.
	s.cases.mu.Lock()
	defer s.cases.mu.Unlock()
	for i, c := range s.cases.list {
		if c.key == key && c.stamp == stamp {
			s.cases.list = append(append(s.cases.list[:i:i], s.cases.list[i+1:]...), c)
			return c, nil
		}
	}
	c, err := load(e)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	c.key, c.stamp = key, stamp
	s.cases.keep(c)
	return c, nil
}

// keep puts a case last and drops the first ones that are too much.
func (cs *cases) keep(c *incidentCase) {
	kept := cs.list[:0:0]
	bytes := c.bytes
	for i := len(cs.list) - 1; i >= 0; i-- {
		old := cs.list[i]
		if old.key == c.key || len(kept) >= maxCases-1 || bytes+old.bytes > maxCaseBytes {
			continue
		}
		bytes += old.bytes
		kept = append([]*incidentCase{old}, kept...)
	}
	cs.list = append(kept, c)
}

// stampOf changes with the manifest and the stacks.
func stampOf(e *entry) (string, error) {
	dir, err := e.source.Reader.Dir(e.ID)
	if err != nil || dir == "" {
		return "", err
	}
	if _, err := os.Lstat(dir); err != nil {
		return "", err
	}
	stamp := ""
	for _, name := range []string{snapshot.FileIncident, snapshot.FileStacks} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			stamp += fmt.Sprintf("%d-%d ", info.ModTime().UnixNano(), info.Size())
		}
	}
	return stamp, nil
}

func load(e *entry) (*incidentCase, error) {
	full, err := e.source.Reader.Load(e.ID)
	if err != nil {
		return nil, err
	}
	c := &incidentCase{entry: e, full: full, bytes: full.Incident.Bytes}
	c.world = more[snapshot.World](c, snapshot.FileWorld)
	c.tree = more[snapshot.Tree](c, snapshot.FileTree)
	c.runtime = more[snapshot.RuntimeReport](c, snapshot.FileRuntime)
	c.samples = more[snapshot.Samples](c, snapshot.FileSamples)
	c.suspect = more[snapshot.Process](c, snapshot.FileSuspect)
	return c, nil
}

// more reads a file that not every incident has.
func more[T any](c *incidentCase, name string) *T {
	v := new(T)
	err := c.entry.source.Reader.Read(c.entry.ID, name, v)
	if err == nil {
		return v
	}
	if !errors.Is(err, fs.ErrNotExist) {
		c.full.Problems = append(c.full.Problems, fmt.Sprintf("Cannot read %s: %v.", name, err))
	}
	return nil
}
