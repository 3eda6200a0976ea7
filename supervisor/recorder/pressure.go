package recorder

import (
	"path/filepath"
	"time"

	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/internal/psi"
)

// maxPressure is more than a pressure file has.
const maxPressure = 4096

// Stalls measures the pressure on a cgroup, or on the machine, by the tasks of
// which some stood still.
type Stalls struct {
	dir, suffix string
	before      psi.Totals
}

// OfCgroup measures a cgroup by its directory. Only v2 tells pressure.
func OfCgroup(dir string) *Stalls { return &Stalls{dir: dir, suffix: ".pressure"} }

// OfMachine measures the whole machine.
func OfMachine() *Stalls { return &Stalls{dir: "/proc/pressure"} }

// Measure is the pressure since the measurement before, the first time that of the
// last ten seconds; not known where the kernel does not tell it. now is
// CLOCK_BOOTTIME.
func (s *Stalls) Measure(now time.Duration) Pressure {
	t := psi.Totals{At: now, Known: true}
	for name, to := range map[string]*psi.Stall{"cpu": &t.CPU, "memory": &t.Memory, "io": &t.IO} {
		text, err := limited.ReadFile(filepath.Join(s.dir, name+s.suffix), maxPressure)
		stall, ok := psi.Parse(text, psi.Some)
		if err != nil || !ok {
			t.Known = false
			break
		}
		*to = stall
	}
	p := t.Since(s.before)
	s.before = t
	return p
}
