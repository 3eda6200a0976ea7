package supervisor

import (
	"os"
	"time"

	"github.com/vigil-supervisor/vigil/supervisor/config"
)

// Options say what a supervisor supervises.
type Options struct {
	_ struct{}

	Name, RuntimeDir, StateDir string
	Version                    string
	Load                       func() (*config.Config, error) // reads what is on disk, or the command line
	Run                        bool                           // one service, whose end is ours, with its code
	Echo                       bool                           // show the services' output on our stdout and stderr
	Socket                     *os.File                       // to the keeper
	CaptureHelper              string                         // path of vigil-capture; "" when there is none
}

// BadConfig says that the configuration cannot be used, so that nothing was
// started. It wraps what Load said.
type BadConfig struct{ Err error }

func (b *BadConfig) Error() string { return "cannot use the configuration: " + b.Err.Error() }

// Unwrap returns what Load said.
func (b *BadConfig) Unwrap() error { return b.Err }

// Exit codes of Run, as docs/cli.md has them.
const (
	exitDone          = 0
	exitNotExecutable = 126
	exitNotFound      = 127
	exitSignalBase    = 128
)

// Names of what is kept in the state directory.
const (
	dirIncidents = "incidents"
	dirLogs      = "log"
	fileLog      = "vigil.log"
)

const (
	beatEvery     = 2 * time.Second  // the keeper ends us after ten missed beats
	shutdownGrace = 15 * time.Second // for evidence under way, once all services have stopped
	maxEvents     = 1024             // kept for `vigil events`
	maxTimeline   = 256              // moments kept of each service
	maxTasks      = 256              // messages that wait for the loop
	maxAnalyses   = 16               // incidents that wait for their analysis
)
