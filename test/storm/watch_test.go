package storm

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
)

// watcher looks at what must hold at every moment of a storm.
type watcher struct {
	v    *vigil
	pid  int // of the untouched service
	last control.Instance
	many map[int]time.Time // supervisors seen when there were too many, since when
}

// watchEvery is how often it looks.
const watchEvery = 50 * time.Millisecond

// watch looks until stop is closed, and returns the first thing that is wrong.
func (w *watcher) watch(stop <-chan struct{}) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := w.look(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-stop:
			return nil
		}
	}
}

func (w *watcher) look() error {
	if !w.v.running() {
		return fmt.Errorf("vigil has ended: %v", w.v.cmd.ProcessState)
	}
	return errors.Join(w.oneKeeper(), w.oneSupervisor(), w.oneSocket(), w.epochs(), w.noTwins())
}

// oneKeeper: the locks are held, and name the keeper that we started.
func (w *watcher) oneKeeper() error {
	for _, dir := range []string{"run", "state"} {
		f, err := os.Open(w.v.path(dir, "keeper.lock"))
		if err != nil {
			return err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
		text := make([]byte, 16)
		n, _ := f.ReadAt(text, 0)
		f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("nobody holds the lock in %s: %v", dir, err)
		}
		if got, _ := strconv.Atoi(strings.TrimSpace(string(text[:n]))); got != w.v.pid() && n > 0 {
			return fmt.Errorf("the lock in %s names pid %d, not the keeper %d", dir, got, w.v.pid())
		}
	}
	return nil
}

// dying is how long a killed candidate may take to be gone, on a busy machine.
const dying = 2 * time.Second

// oneSupervisor: besides the one in charge there is at most one candidate.
func (w *watcher) oneSupervisor() error {
	now, pids := time.Now(), map[int]time.Time{}
	list, _ := w.v.family()
	if len(list) > 2 {
		stayed := 0
		for _, pid := range list {
			pids[pid] = now
			if since, ok := w.many[pid]; ok {
				pids[pid] = since
				if now.Sub(since) > dying {
					stayed++
				}
			}
		}
		if stayed > 2 {
			return fmt.Errorf("%d supervisors live at a time: %v", stayed, list)
		}
	}
	w.many = pids
	return nil
}

// oneSocket: of all sockets in the runtime directory at most one listens.
// net/unix of proc(5): flags 00010000 are those of a listener.
func (w *watcher) oneSocket() error {
	f, err := os.Open("/proc/net/unix")
	if err != nil {
		return err
	}
	defer f.Close()
	var listening []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 8 && fields[3] == "00010000" && filepath.Dir(fields[7]) == w.v.path("run") {
			listening = append(listening, fields[7])
		}
	}
	if len(listening) > 1 {
		return fmt.Errorf("%d control sockets listen: %v", len(listening), listening)
	}
	return nil
}

// epochs only rise, and each is one supervisor's.
func (w *watcher) epochs() error {
	i, err := w.v.instance()
	if err != nil {
		return nil // nobody is in charge at the moment
	}
	switch {
	case i.KeeperPID != w.v.pid():
		return fmt.Errorf("the supervisor serves keeper %d, not %d", i.KeeperPID, w.v.pid())
	case i.Epoch < w.last.Epoch:
		return fmt.Errorf("epoch %d after %d", i.Epoch, w.last.Epoch)
	case i.Epoch == w.last.Epoch && i.Supervisor != w.last.Supervisor:
		return fmt.Errorf("epoch %d is supervisor %d's and %d's", i.Epoch, w.last.Supervisor, i.Supervisor)
	}
	w.last = i
	return nil
}

// noTwins: no service has found another instance of itself, and those that
// nobody touches were started once.
func (w *watcher) noTwins() error {
	if text, err := os.ReadFile(w.v.path("services", alarmFile)); err == nil {
		return fmt.Errorf("two instances at a time: %s", text)
	}
	for _, name := range []string{still, full} {
		if n := w.v.starts(name); n != 1 {
			return fmt.Errorf("%s was started %d times", name, n)
		}
	}
	return nil
}

// Bounds of what vigil writes for itself, in bytes: two files of 4 MiB, two of
// 1 MiB, and its words.
const (
	mostLog    = 2 * (4<<20 + 2<<20) // a dump of goroutines is one entry, of up to 1 MiB
	mostLedger = 2 * (1<<20 + 64<<10)
	mostSaid   = 4 << 20
)

// written is how many bytes vigil has in its own log, ledger and standard error.
func (v *vigil) written() (log, ledger, said int64) {
	size := func(pattern string) (sum int64) {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil {
				sum += info.Size()
			}
		}
		return sum
	}
	return size(v.path("state", "vigil.log*")), size(v.path("state", "signals*")), size(v.path("said"))
}

func (v *vigil) bounded() error {
	log, ledger, said := v.written()
	v.t.Logf("vigil wrote: log %d, ledger %d, standard error %d bytes", log, ledger, said)
	if log > mostLog || ledger > mostLedger || said > mostSaid {
		return fmt.Errorf("vigil wrote too much: log %d, ledger %d, standard error %d bytes", log, ledger, said)
	}
	return nil
}
