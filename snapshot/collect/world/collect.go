package world

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/collect/counters"
)

// Options say around what.
type Options struct {
	PID      int
	Cgroup   string             // directory of the service's cgroup; "": it has none of its own
	Baseline *snapshot.Counters // as they were when the service began; nil: not known
	_        struct{}
}

// Collect looks around. What could not be seen is in Missing.
func Collect(opt Options) snapshot.World {
	w := snapshot.World{Schema: snapshot.SchemaVersion, PID: opt.PID, Since: "boot"}
	if c, err := counters.Read(opt.PID); err != nil {
		w.Missing = append(w.Missing, err.Error())
	} else {
		if opt.Baseline != nil {
			c, w.Since = counters.Since(c, *opt.Baseline), "start"
		}
		w.Counters = &c
	}
	w.Cgroup = cgroupOf(opt.Cgroup)
	for _, name := range []string{"cpu", "io", "memory"} {
		text, _ := limited.ReadFile("/proc/pressure/"+name, maxFile) // absent without CONFIG_PSI
		w.Pressure = append(w.Pressure, pressure(name, string(text))...)
	}
	if err := inNamespace(opt.PID, func() { network(&w) }); err != nil {
		w.Missing = append(w.Missing, "sockets: "+err.Error())
	}
	w.Findings = Findings(w)
	return w
}

// network lists sockets and peers, on a thread in the namespace of the process.
func network(w *snapshot.World) {
	mine, err := inodes(w.PID)
	if err != nil {
		w.Missing = append(w.Missing, "sockets: "+err.Error())
		return
	}
	all, err := sockets()
	if err != nil {
		w.Missing = append(w.Missing, err.Error())
	}
	w.States = map[string]int{}
	var addresses []netip.Addr
	cut := 0
	for _, d := range all {
		fd, ok := mine[d.inode]
		if !ok || d.inode == 0 {
			continue
		}
		d.FD = fd
		w.States[d.State]++
		if len(w.Sockets) >= snapshot.MaxSockets {
			cut++
			continue
		}
		w.Sockets = append(w.Sockets, d.Socket)
		if d.Remote != "" && !d.remote.IsLoopback() && !slices.Contains(addresses, d.remote) && len(addresses) <= snapshot.MaxPeers {
			addresses = append(addresses, d.remote)
		}
	}
	if cut > 0 {
		w.Missing = append(w.Missing, fmt.Sprintf("%d sockets beyond the first %d are only counted", cut, snapshot.MaxSockets))
	}
	table, err := neighbours()
	if err != nil {
		w.Missing = append(w.Missing, err.Error())
	}
	w.Peers = peers(addresses, table)
}

// inodes are the sockets of a process, with a descriptor of each.
func inodes(pid int) (map[uint32]int, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(1 << 20)
	if len(names) == 0 && err != nil {
		return nil, err
	}
	found := map[uint32]int{}
	for _, name := range names {
		target, err := os.Readlink(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		if number, ok := strings.CutPrefix(target, "socket:["); ok {
			n, _ := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 32)
			fd, _ := strconv.Atoi(name)
			found[uint32(n)] = fd
		}
	}
	return found, nil
}

// inNamespace does something on a thread that is in the network namespace of a
// process, setns(2).
func inNamespace(pid int, do func()) error {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/proc/%d/ns/net", pid)
	theirs, err := os.Readlink(path)
	if err != nil {
		return err
	}
	if own == theirs {
		do()
		return nil
	}
	done := make(chan error, 1)
	go enter(path, do, done)
	return <-done
}

// enter goes into a namespace for good: its thread ends with it. The main thread
// never ends, so it is kept busy while another does the work.
func enter(path string, do func(), done chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		again := make(chan error, 1)
		go enter(path, do, again)
		done <- <-again
		runtime.UnlockOSThread()
		return
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Setns(fd, unix.CLONE_NEWNET)
		_ = unix.Close(fd)
	}
	if err != nil {
		err = fmt.Errorf("cannot enter its network namespace: %w (needs CAP_SYS_ADMIN)", err)
	} else {
		do()
	}
	done <- err
}
