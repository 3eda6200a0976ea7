package supervisor

import (
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/collect/counters"
)

// baseline is how the counters of a service's network stood when an instance
// began. A supervisor that took over later does not know, and evidence counts
// from the boot then.
type baseline struct {
	instance uint64
	counters *snapshot.Counters
}

// takeBaseline reads the counters when an instance has begun, beside the loop.
func (v *service) takeBaseline(pid int) {
	v.keepExecutable()
	instance := v.started.Instance
	go func() {
		c, err := counters.Read(pid)
		v.s.post(func() {
			if err == nil && v.started.Instance == instance {
				v.baseline = baseline{instance, &c}
			}
		})
	}()
}

// baselineNow is that of the present instance, nil when it is not known.
func (v *service) baselineNow() *snapshot.Counters {
	if v.baseline.instance != v.started.Instance {
		return nil
	}
	return v.baseline.counters
}
