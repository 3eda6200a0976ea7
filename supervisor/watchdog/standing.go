package watchdog

import "time"

// Standing is what `vigil status` shows of one sign of life.
type Standing struct {
	Name      string
	Kind      string        // one of the Kinds
	State     State         // as judged last
	Age       time.Duration // since it was seen last; of a probe: since its last answer
	Limit     time.Duration // 0: none
	Suspended bool          // not judged at present
	Text      string        // what else there is to say, in words; may be empty
}

// The kinds of signs of life, from the strongest to the weakest.
const (
	KindActivity  = "activity"
	KindHeartbeat = "heartbeat"
	KindGimli     = "gimli"
	KindThread    = "thread"
	KindProbe     = "probe"
	KindFile      = "file"
	KindOutput    = "output"
)
