package signals

import "syscall"

// Demand is what a signal asks of vigil.
type Demand string

// All demands.
const (
	None     Demand = ""         // nothing: it is recorded only
	Stop     Demand = "stop"     // end all services, then vigil
	Dump     Demand = "dump"     // write the stacks of vigil's own goroutines to its log
	Reload   Demand = "reload"   // a new supervisor from the binary and the configuration now on disk
	Reopen   Demand = "reopen"   // open the log files anew
	Snapshot Demand = "snapshot" // a snapshot of every service
	Beat     Demand = "beat"     // from a service: it is alive
	Capture  Demand = "capture"  // from a service: take a snapshot of it and start it again
)

// Meaning is what a signal to the keeper asks for. fromService says that a
// process of a service sent it: the two signals by which libgimli speaks to its
// monitor then concern that service alone. Such a sender has to be proven, see
// Sender.Forged.
func Meaning(sig syscall.Signal, fromService bool) Demand {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT:
		return Stop
	case syscall.SIGQUIT:
		return Dump
	case syscall.SIGHUP:
		return Reload
	case syscall.SIGUSR1:
		if fromService {
			return Beat
		}
		return Reopen
	case syscall.SIGUSR2:
		if fromService {
			return Capture
		}
		return Snapshot
	}
	return None
}
