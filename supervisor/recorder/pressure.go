package recorder

import (
	"path/filepath"
	"time"

	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/internal/psi"
)

// maxPressure is more than a pressure file has.
const maxPressure = 4096

// Stalls measures the pressure on a cgroup, or on the machine.
type Stalls struct {
	dir, suffix string
	at          time.Duration // of the measurement before
	before      [3]time.Duration
	known       bool // at and before are
}

// OfCgroup measures a cgroup by its directory. Only v2 tells pressure.
func OfCgroup(dir string) *Stalls { return &Stalls{dir: dir, suffix: ".pressure"} }

// OfMachine measures the whole machine.
func OfMachine() *Stalls { return &Stalls{dir: "/proc/pressure"} }

// Measure is the pressure since the measurement before, the first time that of the
// last ten seconds as the kernel averages it; not known where the kernel does not
// tell it. now is CLOCK_BOOTTIME.
func (s *Stalls) Measure(now time.Duration) Pressure {
	var totals [3]time.Duration
	var shares [3]float64
	window := now - s.at
	for i, name := range []string{"cpu", "memory", "io"} {
		text, err := limited.ReadFile(filepath.Join(s.dir, name+s.suffix), maxPressure)
		stall, ok := psi.Parse(text, psi.Some)
		if err != nil || !ok {
			s.known = false
			return Pressure{}
		}
		totals[i], shares[i] = stall.Total, stall.Avg10
		if s.known && window > 0 {
			shares[i] = psi.Share(totals[i]-s.before[i], window)
		}
	}
	s.at, s.before, s.known = now, totals, true
	return Pressure{true, shares[0], shares[1], shares[2]}
}
