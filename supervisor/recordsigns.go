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

// sign is what tells one sign of a service from another.
type sign struct{ kind, name string }

// recordedSigns is which bit of the samples stands for which sign of a service.
type recordedSigns struct {
	bits    map[sign]int // nil: not read from the memory yet
	leftOut int          // signs of the last sample that have no bit
	spare   []watchdog.Standing
}

// recordSigns puts into a sample how the signs of life stand; since is the time
// from the sample before.
func (v *service) recordSigns(out *recorder.Sample, now, since time.Duration) {
	r := &v.recorded.signs
	if r.bits == nil {
		r.bits = map[sign]int{}
		for bit, key := range v.s.recording.memory.Signs(v.cfg.Name) {
			if kind, name, ok := strings.Cut(key, " "); ok {
				r.bits[sign{kind, name}] = bit
			}
		}
	}
	var present [recorder.MaxSigns]bool
	unknown := r.spare[:0]
	put := func(bit int, st watchdog.Standing) {
		present[bit] = true
		if st.Age < since {
			out.Seen |= 1 << bit
		}
		if st.State != watchdog.Healthy {
			out.Late |= 1 << bit
		}
	}
	r.leftOut = 0
	v.watch.Marks(now, func(st watchdog.Standing) {
		if st.Limit > 0 && !st.Suspended {
			out.Silence = max(out.Silence, st.Age)
		}
		st.Name = st.Name[:min(len(st.Name), recorder.MaxSignName-1-len(st.Kind))]
		switch bit, ok := r.bits[sign{st.Kind, st.Name}]; {
		case ok:
			put(bit, st)
		case len(unknown) < recorder.MaxSigns:
			unknown = append(unknown, st)
		default:
			r.leftOut++
		}
	})
	for _, st := range unknown {
		bit, ok := r.free(&present)
		if !ok {
			r.leftOut++
			continue
		}
		r.take(bit, sign{st.Kind, st.Name})
		v.s.recording.memory.NameSign(v.cfg.Name, bit, st.Kind+" "+st.Name)
		put(bit, st)
	}
	r.spare = unknown
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

func (r *recordedSigns) take(bit int, s sign) {
	for other, b := range r.bits {
		if b == bit {
			delete(r.bits, other)
		}
	}
	r.bits[s] = bit
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
