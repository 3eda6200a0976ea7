package probe

import (
	"fmt"
	"hash/fnv"
	"path/filepath"
	"strings"
	"sync"
)

// markName names the entry of the environment by which processes of a probe are
// known.
const markName = "VIGIL_PROBE"

// nameList keeps the names of the runners of this process apart.
type nameList struct {
	mu    sync.Mutex
	taken map[string]bool
}

var names = nameList{taken: map[string]bool{}}

// take names a runner after its service's cgroup and its program. The last
// element is no number, so that the keeper does not take the group for that of
// an instance.
func (l *nameList) take(e Exec) string {
	h := fnv.New64a()
	for _, s := range append([]string{e.Cgroup, e.Dir}, e.Command...) {
		fmt.Fprintf(h, "%q\n", s)
	}
	base := "exec"
	if e.Cgroup != "" {
		base = filepath.Base(e.Cgroup)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := 0; ; n++ {
		name := fmt.Sprintf("%s.probe-%016x-%d", strings.ToValidUTF8(head(base, 160), "_"), h.Sum64(), n)
		if !l.taken[name] {
			l.taken[name] = true
			return name
		}
	}
}

func (l *nameList) give(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.taken, name)
}
