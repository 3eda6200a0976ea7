package snapshot

import "time"

// Samples is the flight recorder's file, samples.json: what was seen of a service
// each second before an incident, as columns of equal length, oldest first. Where
// two times are more than a second apart nobody has looked.
type Samples struct {
	Every   Seconds         `json:"every_seconds"`
	Boot    []time.Duration `json:"boot_ns"` // CLOCK_BOOTTIME
	Time    []time.Time     `json:"time"`    // wall clock, UTC, as it is set now
	CPU     []Seconds       `json:"cpu_seconds"`
	Memory  []uint64        `json:"memory_bytes"`
	Threads []uint64        `json:"threads"`
	Files   []uint64        `json:"descriptors"`
	// Measured says whether the four columns above could be read.
	Measured []bool `json:"measured"`
	// The share of time since the measurement before, from 0 to 1, in which some
	// task stood still for want of a processor, of memory or of a disk.
	PressureCPU    []float64 `json:"pressure_cpu"`
	PressureMemory []float64 `json:"pressure_memory"`
	PressureIO     []float64 `json:"pressure_io"`
	// Pressured says whether the three columns above could be read.
	Pressured  []bool `json:"pressured"`
	PressureOf string `json:"pressure_of"` // whose it is: "service" (its cgroup) or "machine"

	Beats    []uint64  `json:"beats"`
	Silence  []Seconds `json:"silence_seconds"` // of the sign that is silent longest
	Lines    []uint64  `json:"output_lines"`
	Bytes    []uint64  `json:"output_bytes"`
	State    []string  `json:"state"`
	Probes   []string  `json:"probes"` // "", "ok", "pending" or "failed"; the worst
	Restarts []uint16  `json:"restarts"`
	Signals  []uint16  `json:"signals"`
	Gaps     []Gap     `json:"gaps"`

	Signs        []SignSamples `json:"signs"`
	SignsLeftOut int           `json:"signs_left_out,omitempty"` // there were more than are told apart
}

// SignSamples is how one sign of life stood: one of the Mark bytes for each
// sample.
type SignSamples struct {
	Kind  string `json:"kind"` // "heartbeat", "activity", "thread", "probe", ...
	Name  string `json:"name"`
	Marks string `json:"marks"`
}

// What a sign was in one second.
const (
	MarkQuiet = '.' // neither seen nor late
	MarkSeen  = 'o' // it was seen
	MarkLate  = 'x' // it was not seen, and is judged late
)

// Gap is a time of which there are no samples.
type Gap struct {
	After  time.Duration `json:"after_boot_ns"`  // the last sample before
	Before time.Duration `json:"before_boot_ns"` // the first after it
	Reason string        `json:"reason,omitempty"`
}

// Add begins a row; the caller appends to the other columns.
func (s *Samples) Add(boot time.Duration, wall time.Time) {
	s.Boot, s.Time = append(s.Boot, boot), append(s.Time, wall)
}
