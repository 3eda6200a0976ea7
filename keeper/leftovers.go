package keeper

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/harmless"
	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/internal/proctree"
)

// Leftovers are the processes that are there when every service and the
// supervisor are gone: orphans that left their service's session and mark
// behind, and children of a script that became vigil by exec. As pid 1 the
// keeper would take them with it (the kernel sends SIGKILL to the rest of a
// pid namespace whose init ends, pid_namespaces(7)), as a subreaper it would
// leave them to somebody else. Instead they are asked to end, and then killed.
//
// Every leftover descends from the keeper, and every orphan among them comes
// to it. So none is left when the keeper has no child: one system call that
// needs no /proc, asked after each death. Only processes that entered the
// namespace (docker exec) have no parent in it: they get the signals with the
// others, but are not waited for, because an interactive shell ignores TERM.

// Times of the end of leftovers.
const (
	leftoverGrace = 2 * time.Second        // between SIGTERM and SIGKILL; docker stop gives 10 s for everything
	leftoverKill  = 2 * time.Second        // for SIGKILL to work; state D lasts longer, and is not waited for
	killAgain     = 100 * time.Millisecond // a look at /proc misses who forks meanwhile
	leftoverNames = 8                      // how many are named
)

// endLeftovers comes after the loop, whose goroutine it runs on: it goes on
// taking deaths from the reaper.
func (k *Keeper) endLeftovers() {
	// Who was there before a keeper that is not pid 1 is not ours to end, and
	// its orphans cannot be told from those of our services.
	if k.pid != 1 && k.inherited || !k.awaitLeftovers(0) {
		return
	}
	k.tellLeftovers(fmt.Sprintf("belong to no service; ending them (TERM, after %v KILL)", leftoverGrace))
	k.signalLeftovers(unix.SIGTERM)
	k.signalLeftovers(unix.SIGCONT) // one that is stopped acts on TERM when it continues
	if !k.awaitLeftovers(leftoverGrace) {
		return
	}
	k.tellLeftovers("did not end; killing them")
	for range int(leftoverKill / killAgain) {
		k.signalLeftovers(unix.SIGKILL)
		if !k.awaitLeftovers(killAgain) {
			return
		}
	}
	k.tellLeftovers("cannot be killed; ending without them")
}

// awaitLeftovers reports whether some are left after at most limit.
func (k *Keeper) awaitLeftovers(limit time.Duration) bool {
	over := time.NewTimer(limit)
	defer over.Stop()
	for hasChildren() {
		k.kickReaper() // it may have seen none at a time
		select {
		case <-k.deaths:
		case <-over.C:
			return hasChildren()
		}
	}
	return false
}

// hasChildren asks the kernel and reaps nobody: waitid(2) fails with ECHILD
// only when no child is there, dead or alive.
func hasChildren() bool {
	for {
		err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return !errors.Is(err, unix.ECHILD)
		}
	}
}

// signalLeftovers signals all there are now. For pid 1 that is one system call
// for the whole namespace, which no fork slips through, kill(2).
func (k *Keeper) signalLeftovers(sig unix.Signal) {
	if k.pid == 1 {
		_ = unix.Kill(-1, sig) // EPERM: all belong to other users; ESRCH: gone
		return
	}
	for _, p := range k.leftovers() {
		signalProcess(p, sig)
	}
}

// signalProcess signals p, and nobody who has its pid now.
func signalProcess(p proctree.Process, sig unix.Signal) {
	fd, err := pidfd.Open(p.PID)
	if err != nil {
		return // gone
	}
	defer fd.Close()
	if ticks, err := pidfd.StartTicks(p.PID); err == nil && ticks == p.Ticks {
		_ = fd.Signal(sig) // of another user, or gone
	}
}

// leftovers lists those that live: for pid 1 all of the namespace.
func (k *Keeper) leftovers() []proctree.Process {
	all, err := proctree.Scan()
	if err != nil {
		return nil
	}
	var list []proctree.Process
	if k.pid == 1 {
		for _, p := range all {
			list = append(list, p)
		}
	} else {
		list = all.Descendants(k.pid)
	}
	living := list[:0]
	for _, p := range list {
		if p.PID != k.pid && !p.Zombie {
			living = append(living, p)
		}
	}
	return living
}

// tellLeftovers names the leftovers on standard error: nobody else is left who
// could tell.
func (k *Keeper) tellLeftovers(what string) {
	list := k.leftovers()
	if len(list) == 0 {
		return
	}
	var names []string
	for _, p := range list[:min(len(list), leftoverNames)] {
		comm, _ := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/comm")
		names = append(names, fmt.Sprintf("%d (%s)", p.PID, harmless.Text(strings.TrimSuffix(string(comm), "\n"), nil)))
	}
	if more := len(list) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	fmt.Fprintf(os.Stderr, "vigil: processes that %s: %s\n", what, strings.Join(names, ", "))
}
