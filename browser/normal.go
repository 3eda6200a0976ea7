package browser

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/browser/view"
	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/atomicfile"
	"github.com/vigil-supervisor/vigil/internal/limited"
)

// Bounds of what is remembered.
const (
	maxNormal   = 10_000 // stacks, of all services
	maxNormalIn = 4 << 20
)

// normal remembers which stacks are normal for which service, in a file.
type normal struct {
	path string

	mu   sync.Mutex
	keys map[string][]string // by service, oldest first
}

func openNormal(path string) (*normal, error) {
	n := &normal{path: path, keys: map[string][]string{}}
	if path == "" {
		return n, nil
	}
	text, err := limited.ReadFile(path, maxNormalIn)
	if errors.Is(err, fs.ErrNotExist) {
		return n, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &n.keys)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read what is normal for which service: %w; remove %s to begin anew", err, path)
	}
	return n, nil
}

func (n *normal) of(service string) func(key string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	set := map[string]bool{}
	for _, k := range n.keys[service] {
		set[k] = true
	}
	return func(key string) bool { return set[key] }
}

// set marks a stack, or takes that back, and writes the file.
func (n *normal) set(service, key string, on bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(n.keys[service]), func(k string) bool { return k == key })
	if on {
		total := 0
		for _, l := range n.keys {
			total += len(l)
		}
		if total >= maxNormal {
			return fmt.Errorf("cannot remember more than %d stacks as normal", maxNormal)
		}
		list = append(list, key)
	}
	old, had := n.keys[service]
	n.keys[service] = list
	if len(list) == 0 {
		delete(n.keys, service)
	}
	err := n.write()
	if err != nil { // what is told is what is kept
		delete(n.keys, service)
		if had {
			n.keys[service] = old
		}
	}
	return err
}

func (n *normal) write() error {
	if n.path == "" {
		return nil
	}
	text, err := json.MarshalIndent(n.keys, "", "  ")
	if err == nil {
		err = atomicfile.Write(n.path, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot remember what is normal: %w", err)
	}
	return nil
}

// setNormal answers PUT services/NAME/normal.
func (s *Server) setNormal(w http.ResponseWriter, r *http.Request) {
	var n api.Normal
	if !decode(w, r, &n) {
		return
	}
	service := r.PathValue("service")
	if !view.ValidKey(n.Key) || service == "" || len(service) > 255 {
		fail(w, http.StatusBadRequest, control.CodeBadRequest, "%q is not the key of a stack", cut(n.Key))
		return
	}
	if err := s.normal.set(service, n.Key, n.Normal); err != nil {
		failWith(w, err)
		return
	}
	s.log.Info("a stack was marked", zap.String("service", service), zap.String("key", n.Key), zap.Bool("normal", n.Normal))
	w.WriteHeader(http.StatusNoContent)
}
