package supervisor

import (
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/logs"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// outputPatterns compiles what is looked for in the output of a service; nil:
// nothing is.
func outputPatterns(list []config.OutputPattern) (*watchdog.OutputPatterns, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var all []watchdog.OutputPattern
	for _, o := range list {
		p := watchdog.OutputPattern{Pattern: o.Pattern, Verdict: watchdog.Suspect, Stdout: o.Stream != "stderr", Stderr: o.Stream != "stdout"}
		if o.Verdict == config.VerdictHang {
			p.Verdict = watchdog.Confirmed
		}
		all = append(all, p)
	}
	return watchdog.NewOutputPatterns(all)
}

// watchOutput looks for the patterns in what an instance writes.
func (v *service) watchOutput() logs.Watcher {
	instance := v.started.Instance
	v.saying = watchdog.NewOutputSigns(v.patterns)
	v.watch.others = append(v.watch.others, v.saying)
	return v.patterns.Watch(func(m watchdog.OutputMatch) {
		v.s.post(func() {
			if v.saying != nil && v.started.Instance == instance {
				v.onSaid(v.saying.Observe(m))
			}
		})
	})
}

// onSaid takes verdicts of what the service itself has said, which nothing
// excuses.
func (v *service) onSaid(list []watchdog.Verdict) {
	for _, d := range list {
		switch d.To {
		case watchdog.Suspect:
			v.onSuspect(d)
		case watchdog.Confirmed:
			v.confirm(d.Cause, d.Text)
		case watchdog.Healthy:
			v.onRecovered(d)
		}
	}
}
