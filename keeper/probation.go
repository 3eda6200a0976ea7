package keeper

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// probation is the time after a reload in which the supervisor has not proved
// itself: one that crashes again and again as soon as it is in charge would
// leave the services without a supervisor for good, though the one before
// worked. What that one was made of is kept until then.
type probation struct {
	exe     *executable
	version string
	config  int // descriptor of the configuration; -1: none was kept
	crashes int
	until   time.Duration // 0: none is in charge just now
}

// maxCrashes is how often a supervisor on probation may crash. One end may be
// an accident, or somebody's kill -9, after which the new version goes on.
const maxCrashes = 3

func (p *probation) next() time.Duration {
	if p == nil {
		return 0
	}
	return p.until
}

// beginProbation keeps what the supervisor before was made of. Where that one
// was on probation itself, the last one that has proved itself stays the one to
// go back to.
func (k *Keeper) beginProbation(former *executable) {
	until := clock.Boot() + k.bounds.probation
	if p := k.probation; p != nil {
		former.close()
		p.crashes, p.until = 0, until
		return
	}
	p := &probation{exe: former, version: k.sup.former, config: -1, until: until}
	if fd, ok := k.files[protocol.ConfigFile]; ok {
		p.config = fd
		delete(k.files, protocol.ConfigFile) // not closed: it is ours now
	}
	k.probation = p
}

// endProbation gives back what was kept.
func (k *Keeper) endProbation() {
	p := k.probation
	if p == nil {
		return
	}
	k.probation = nil
	p.exe.close()
	if p.config >= 0 {
		unix.Close(p.config)
	}
}

func (k *Keeper) superviseProbation(now time.Duration) {
	p := k.probation
	switch {
	case p == nil || p.until == 0 || now < p.until:
	case k.sup.ready:
		k.endProbation()
	default:
		p.until = 0 // it goes on when one is in charge
	}
}

// goOnProbation: a supervisor is in charge once more.
func (k *Keeper) goOnProbation() {
	if k.probation != nil {
		k.probation.until = clock.Boot() + k.bounds.probation
	}
}

// countCrash takes the end of a supervisor on probation that nobody asked for.
func (k *Keeper) countCrash(uptime time.Duration, how string) {
	p := k.probation
	if p == nil {
		return
	}
	p.until = 0
	if uptime >= k.bounds.probation {
		k.endProbation()
		return
	}
	if p.crashes++; p.crashes < maxCrashes {
		return
	}
	text := fmt.Sprintf("withdrawn: version %s crashed %d times within %v of its start, with %s; the version before is started again, with the configuration that it had",
		k.sup.version, p.crashes, k.bounds.probation, how)
	k.exe.close()
	k.exe = p.exe
	if p.config >= 0 {
		k.keepFile(protocol.ConfigFile, p.config)
	}
	p.exe, p.config = nil, -1
	k.endProbation()
	k.sup.version, k.sup.failures = p.version, 0
	fmt.Fprintf(os.Stderr, "vigil: reload %s\n", text)
	k.tell(protocol.Event{Kind: protocol.EventRefused, Text: text})
}
