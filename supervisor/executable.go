package supervisor

import (
	"path/filepath"
	"sync"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/snapshot/binaries"
)

// dirBinaries has the executables of running instances, by build id: a file that
// is replaced while it runs would give frames wrong names, or none.
const dirBinaries = "binaries"

func (s *Supervisor) binariesDir() string { return filepath.Join(s.opt.StateDir, dirBinaries) }

// keeping lets one copy be made at a time, however many services start at once.
var keeping sync.Mutex

// kept is for which instance the executable was kept, and how far it was then: a
// script that becomes the program is kept at the start, the program once it is up.
type kept struct {
	instance uint64
	up       bool
}

// keepExecutable keeps the executable of the present instance, beside the loop.
// Without it an incident says what is missing.
func (v *service) keepExecutable() {
	now := kept{v.started.Instance, v.isUp()}
	if !v.set.CanCapture || v.started.PID == 0 || v.kept == now || v.kept == (kept{now.instance, true}) {
		return
	}
	v.kept = now
	pid, dir, log, name := v.started.PID, v.s.binariesDir(), v.s.log, v.cfg.Name
	go func() {
		keeping.Lock()
		defer keeping.Unlock()
		if err := binaries.Keep(dir, pid, ""); err != nil {
			log.Info(name+": its executable is not kept", zap.Error(err))
		}
	}()
}
