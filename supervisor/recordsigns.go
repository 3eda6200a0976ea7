package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/recorder"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// recordedSigns is which bit of the samples stands for which sign of a service.
type recordedSigns struct {
	bits    map[string]int // nil: not read from the memory yet
	leftOut int            // signs of the last sample that have no bit
}

// recordSigns puts into a sample how the signs of life stand; since is the time
// from the sample before.
func (v *service) recordSigns(out *recorder.Sample, now, since time.Duration) {
	r, m := &v.recorded.signs, v.s.recording.memory
	if r.bits == nil {
		r.bits = map[string]int{}
		for bit, name := range m.Signs(v.cfg.Name) {
			if name != "" {
				r.bits[name] = bit
			}
		}
	}
	list := v.watch.List(now)
	var present [recorder.MaxSigns]bool
	for _, st := range list {
		if bit, ok := r.bits[signKey(st)]; ok {
			present[bit] = true
		}
		if st.Limit > 0 && !st.Suspended {
			out.Silence = max(out.Silence, st.Age)
		}
	}
	r.leftOut = 0
	for _, st := range list {
		key := signKey(st)
		bit, ok := r.bits[key]
		if !ok {
			if bit, ok = r.free(&present); !ok {
				r.leftOut++
				continue
			}
			r.take(bit, key)
			present[bit] = true
			m.NameSign(v.cfg.Name, bit, key)
		}
		if st.Age < since {
			out.Seen |= 1 << bit
		}
		if st.State != watchdog.Healthy {
			out.Late |= 1 << bit
		}
	}
}

// free finds a bit of no sign, else one of a sign that is no more.
func (r *recordedSigns) free(present *[recorder.MaxSigns]bool) (bit int, ok bool) {
	var used [recorder.MaxSigns]bool
	for _, bit := range r.bits {
		used[bit] = true
	}
	for bit := range used {
		if !used[bit] {
			return bit, true
		}
	}
	for bit := range present {
		if !present[bit] {
			return bit, true
		}
	}
	return 0, false
}

func (r *recordedSigns) take(bit int, key string) {
	for name, b := range r.bits {
		if b == bit {
			delete(r.bits, name)
		}
	}
	r.bits[key] = bit
}

// signKey is the name of a sign in the memory of samples: its kind, its name.
func signKey(st watchdog.Standing) string {
	key := st.Kind + " " + st.Name
	return key[:min(len(key), recorder.MaxSignName)]
}

// signSamples are the columns of the signs that were seen or late at least once.
func signSamples(names [recorder.MaxSigns]string, list []recorder.Sample) []snapshot.SignSamples {
	out := []snapshot.SignSamples{}
	for bit, key := range names {
		if key == "" {
			continue
		}
		marks, any := make([]byte, len(list)), false
		for i, p := range list {
			switch {
			case p.Seen&(1<<bit) != 0:
				marks[i], any = snapshot.MarkSeen, true
			case p.Late&(1<<bit) != 0:
				marks[i], any = snapshot.MarkLate, true
			default:
				marks[i] = snapshot.MarkQuiet
			}
		}
		if any {
			kind, name, _ := strings.Cut(strings.ToValidUTF8(key, "\uFFFD"), " ")
			out = append(out, snapshot.SignSamples{Kind: kind, Name: name, Marks: string(marks)})
		}
	}
	return out
}

// stallsOf measures the pressure of a cgroup that tells it; nil: it does not.
func stallsOf(dir string) *recorder.Stalls {
	if dir == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, "cpu.pressure")); err != nil {
		return nil
	}
	return recorder.OfCgroup(dir)
}
