package lifecycle

import (
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

// Service is the whole state of one service. It is data: it is kept as a note
// and taken up by the next supervisor. Times are CLOCK_BOOTTIME.
type Service struct {
	State    State          `json:"state"`
	Up       bool           `json:"up"`                 // what is wanted
	Cause    snapshot.Cause `json:"cause,omitempty"`    // of the last end, or of the one under way
	Sentence string         `json:"sentence,omitempty"` // its proof

	Instance  uint64        `json:"instance"`
	Since     time.Duration `json:"since"`              // of the state
	StartedAt time.Duration `json:"started_at"`         // of the instance
	HealthyAt time.Duration `json:"healthy_at"`         // since when it is up; 0: not
	Deadline  time.Duration `json:"deadline,omitempty"` // when a Timer is due; 0: none

	Pending  bool `json:"pending"`            // a start has no answer yet
	Alive    bool `json:"alive"`              // the main process exists
	Tree     bool `json:"tree"`               // processes of the instance may exist
	Ready    bool `json:"ready"`              // it serves; in starting: it said so before the answer to the start
	Asked    bool `json:"asked"`              // the end under way was asked for
	Once     bool `json:"once"`               // start again whatever the policy says: a Restart
	Again    bool `json:"again"`              // the keeper has a standing order
	GoodTry  bool `json:"good_try"`           // some instance has been up
	Hopeless bool `json:"hopeless"`           // the failed start is final
	EndTold  bool `json:"end_told"`           // the evidence of this end has been asked for
	WasReady bool `json:"was_ready"`          // this instance has been up
	Unheard  bool `json:"unheard,omitempty"`  // nobody listened for a while in starting: that it is ready may have been told
	Farewell bool `json:"farewell,omitempty"` // found dead or stuck, it ends by itself once the evidence is taken
	// Announced: it is up and has said that it is about to end.
	Announced bool `json:"announced,omitempty"`

	History  restart.History `json:"history"`
	Restarts uint64          `json:"restarts"` // unasked
	LastExit *End            `json:"last_exit,omitempty"`
}

// Settings are what the configuration says about the life of a service.
type Settings struct {
	Restart       restart.Policy
	WaitReady     bool          // it tells when it is ready
	ReadyAfter    time.Duration // it is ready when it has lived so long
	StartTimeout  time.Duration // until ready; 0: no limit
	StopTimeout   time.Duration // between the stop signal and the kill
	CaptureBudget time.Duration
	CanCapture    bool
	DryRun        bool // verdicts are told, nothing is done
	// Held is why no instance may be started now, in words; "": one may. It
	// changes while the service lives, and EventGate tells of that.
	Held string
	// FirstStartFatal: a start that fails before any has worked is final, as a
	// command line that cannot be run is.
	FirstStartFatal bool
}

// Fixed times.
const (
	captureMargin = 2 * time.Second  // beyond the budget, until the helper is given up
	killRepeat    = 10 * time.Second // a killed tree that is not gone is looked at again
	spawnPatience = 30 * time.Second // an answer to a start that does not come
)
