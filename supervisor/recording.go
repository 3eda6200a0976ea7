package supervisor

import (
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/recorder"
)

// samplesFile is the name of the memory in which samples outlive a supervisor.
const samplesFile = "vigil/recorder"

// measuredEach is of how many services that are well /proc is asked in a second:
// what the kernel needs to answer is most of what a sample costs. With more of them
// each is asked less often, but every longestTurn seconds. One that is not well is
// measured each second.
const (
	measuredEach = 10
	longestTurn  = 10
)

// turns is what is read of a service that is well in one second. The files of
// pressure cost eight times what the process does (the kernel sums up over all
// processors), so they are read of one service a second.
type turns struct{ process, pressure bool }

// turnOf is after how many seconds it is a service's turn again.
func turnOf(services int) int {
	return min(max((services+measuredEach-1)/measuredEach, 1), longestTurn)
}

// recording is the flight recorder of all services. The loop owns it.
type recording struct {
	memory   *recorder.Memory // nil: nothing is recorded
	next     time.Duration    // CLOCK_BOOTTIME, a whole second
	machine  *recorder.Stalls
	pressure recorder.Pressure // on the machine at looked
	looked   time.Duration
}

// onMachine is the pressure on the machine, read once in a turn for all services, and
// not at all when none needs it.
func (r *recording) onMachine(now time.Duration) recorder.Pressure {
	if r.looked != now {
		r.pressure, r.looked = r.machine.Measure(now), now
	}
	return r.pressure
}

// recorded is what was last seen of one service.
type recorded struct {
	process  *recorder.Process // nil: none is measured
	stalls   *recorder.Stalls  // of its cgroup; nil: the machine's stand for it
	signs    recordedSigns
	instance uint64
	at       time.Duration // of the sample before
	notified uint64
	lines    uint64
	bytes    uint64
	restarts uint64
}

// takeSamples goes on in the memory of the supervisor before.
func (s *Supervisor) takeSamples(f *os.File) {
	m, err := openSamples(f)
	if err != nil {
		s.log.Warn("the samples of before are lost", zap.Error(err))
		m, err = recorder.New()
	}
	if err == nil && m.File() != f {
		err = s.keeper.send(protocol.TPutFile, protocol.Name{Name: samplesFile}, []*os.File{m.File()}, nil)
	}
	if err != nil {
		s.log.Warn("nothing is recorded of services", zap.Error(err))
		return
	}
	s.recording = recording{memory: m, machine: recorder.OfMachine(), next: clock.Boot().Truncate(time.Second) + time.Second}
}

func openSamples(f *os.File) (*recorder.Memory, error) {
	if f == nil {
		return recorder.New()
	}
	m, err := recorder.Open(f)
	if err != nil {
		f.Close()
	}
	return m, err
}

// record takes a sample of each service once a second, all in one turn.
func (s *Supervisor) record(now time.Duration) {
	r := &s.recording
	if r.memory == nil || now < r.next {
		return
	}
	r.next = now.Truncate(time.Second) + time.Second
	second := uint32(now / time.Second)
	every := turnOf(len(s.names))
	for i, name := range s.names {
		v := s.services[name]
		if !v.cfg.Capture.Recorder {
			continue
		}
		turn := turns{
			process:  (int(second)+i)%every == 0,
			pressure: int(second)%len(s.names) == i,
		}
		err := r.memory.Claim(name)
		if err == nil {
			err = r.memory.Put(name, v.sample(now, turn))
		}
		if err != nil && !v.unrecorded {
			v.unrecorded = true
			s.log.Warn("it is not recorded", zap.String("service", name), zap.Error(err))
		}
	}
}

// sample looks at the service. Counters of ours cost nothing; the process is
// asked when it is its turn or something is wrong.
func (v *service) sample(now time.Duration, turn turns) recorder.Sample {
	st, r := v.output.Stats(), &v.recorded
	lines, bytes, restarts := uint64(st.Lines), uint64(st.Bytes), uint64(v.life.Restarts)
	out := recorder.Sample{Second: uint32(now / time.Second), State: uint8(v.life.State), Probes: v.probesStand()}
	if r.at > 0 {
		out.Beats, out.Lines, out.Bytes = since(v.notified, r.notified), since(lines, r.lines), since(bytes, r.bytes)
		out.Restarts = uint8(min(since(restarts, r.restarts), 15))
		out.Signals = v.signalsSince(r.at)
		v.recordSigns(&out, now, now-r.at)
	}
	r.at, r.notified, r.lines, r.bytes, r.restarts = now, v.notified, lines, bytes, restarts
	well := v.life.State == lifecycle.Running
	if turn.process || !well {
		v.measure(&out)
	}
	switch {
	case r.stalls == nil:
		out.Pressure = v.s.recording.onMachine(now)
	case turn.pressure || !well:
		out.Pressure = r.stalls.Measure(now)
	}
	return out
}

func (v *service) measure(out *recorder.Sample) {
	r := &v.recorded
	if r.instance != v.started.Instance || v.started.PID == 0 || !v.life.Alive {
		r.process.Close()
		r.process = nil
	}
	if v.started.PID == 0 || !v.life.Alive {
		return
	}
	if r.process == nil {
		p, err := recorder.OpenProcess(v.started.PID, v.started.Ticks)
		if err != nil {
			return // it has just ended
		}
		r.process, r.instance, r.stalls = p, v.started.Instance, stallsOf(v.started.Cgroup)
	}
	if err := r.process.Measure(out); err != nil {
		r.process.Close()
		r.process = nil
	}
}

func (v *service) probesStand() recorder.Probes {
	switch {
	case len(v.probes) == 0:
		return recorder.NoProbes
	case len(v.unready) > 0:
		return recorder.ProbesFailed
	}
	for _, p := range v.probes {
		if p.sent {
			return recorder.ProbesPending
		}
	}
	return recorder.ProbesOK
}

func (v *service) signalsSince(at time.Duration) (n uint8) {
	list := v.timeline.list
	for i := len(list) - 1; i >= 0 && list[i].Boot > at && n < 15; i-- {
		if list[i].Kind == "signal" {
			n++
		}
	}
	return n
}

func since(now, before uint64) uint64 {
	if now < before {
		return now // counted anew
	}
	return now - before
}

// samplesOf are the service's until now, for an incident; nil: there are none.
func (s *Supervisor) samplesOf(service string) *snapshot.Samples {
	if s.recording.memory == nil {
		return nil
	}
	boot, wall := clock.Boot(), time.Now()
	list := s.recording.memory.Samples(service, uint32(boot/time.Second))
	if len(list) == 0 {
		return nil
	}
	out := &snapshot.Samples{Every: 1, Gaps: []snapshot.Gap{}, PressureOf: "machine"}
	if v := s.services[service]; v != nil {
		out.SignsLeftOut = v.recorded.signs.leftOut
		if v.recorded.stalls != nil {
			out.PressureOf = "service"
		}
	}
	out.Signs = signSamples(s.recording.memory.Signs(service), list)
	for i, p := range list {
		at := time.Duration(p.Second) * time.Second
		if i > 0 && p.Second-list[i-1].Second > 1 {
			before := time.Duration(list[i-1].Second) * time.Second
			out.Gaps = append(out.Gaps, snapshot.Gap{After: before, Before: at, Reason: "no supervisor looked, or the machine slept"})
		}
		out.Add(at, wall.Add(at-boot).UTC())
		out.CPU = append(out.CPU, snapshot.SecondsOf(p.CPU))
		out.Memory = append(out.Memory, p.Memory)
		out.Threads = append(out.Threads, p.Threads)
		out.Files = append(out.Files, p.Files)
		out.Measured = append(out.Measured, p.Measured)
		out.PressureCPU = append(out.PressureCPU, p.Pressure.CPU)
		out.PressureMemory = append(out.PressureMemory, p.Pressure.Memory)
		out.PressureIO = append(out.PressureIO, p.Pressure.IO)
		out.Pressured = append(out.Pressured, p.Pressure.Known)
		out.Beats = append(out.Beats, p.Beats)
		out.Silence = append(out.Silence, snapshot.SecondsOf(p.Silence))
		out.Lines = append(out.Lines, p.Lines)
		out.Bytes = append(out.Bytes, p.Bytes)
		out.State = append(out.State, lifecycle.State(p.State).String())
		out.Probes = append(out.Probes, p.Probes.String())
		out.Restarts = append(out.Restarts, uint16(p.Restarts))
		out.Signals = append(out.Signals, uint16(p.Signals))
	}
	return out
}

// endRecord forgets a service that the configuration does not have any more.
func (v *service) endRecord() {
	v.recorded.process.Close()
	v.recorded.process = nil
	if m := v.s.recording.memory; m != nil {
		m.Forget(v.cfg.Name)
	}
}

func (j *job) writeSamples() {
	if j.samples == nil {
		return
	}
	if err := j.writing.WriteJSON(snapshot.FileSamples, j.samples); err != nil {
		j.missing("samples: " + err.Error())
	}
}

// endSamples gives back what the recorder holds; the keeper's own copy stays.
func (s *Supervisor) endSamples() {
	for _, v := range s.services {
		v.recorded.process.Close()
	}
	if s.recording.memory != nil {
		_ = s.recording.memory.Close() // what is in it was stored already
	}
}
