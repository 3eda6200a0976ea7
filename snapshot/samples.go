package snapshot

// Samples are the last minutes of a service, samples.json: one sample a second,
// oldest first, as columns of equal length. A gap is a second without a sample:
// nobody was there to take it.
type Samples struct {
	Schema  int       `json:"schema"`
	Boot    []float64 `json:"boot_seconds"`  // CLOCK_BOOTTIME
	CPU     []float64 `json:"cpu"`           // of the main process, in cores: processor time of a second
	RSS     []int64   `json:"rss_bytes"`     // of the main process, to 0.1 %
	Threads []int     `json:"threads"`       // 65535: so many or more, as in all that follow
	FDs     []int     `json:"descriptors"`   // 0: not known
	Beats   []int     `json:"beats"`         // in that second; 255: so many or more
	Lines   []int     `json:"output_lines"`  // in that second, to 0.1 %
	Failed  []int     `json:"probes_failed"` // in that second; 15: so many or more
	Good    []int     `json:"probes_good"`
	State   []string  `json:"state"`
	Silence []float64 `json:"silence_seconds"` // of the sign of life that is silent the longest
}

// MaxSamples is how many there are at most: 15 minutes.
const MaxSamples = 900
