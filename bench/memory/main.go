// Command memory measures what supervision costs in memory: the proportional
// set size (PSS, smaps_rollup of proc(5), Linux 4.14) of vigil's keeper and
// supervisor with 1, 100 and 1,000 services, and beside it, in the same run,
// that of all supervision processes of runit and s6 with 100.
//
//	go run ./bench/memory [-vigil bin/vigil] [-most 1000]
//
// PSS counts a page that n processes share as 1/n of a page in each.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/internal/rig"
)

// settleLimit bounds the wait for two equal readings.
const settleLimit = 60 * time.Second

// settleStep is between two readings. vigil gives memory back 3 s after its last
// start.
const settleStep = 4 * time.Second

// among is how many services the peers get.
const among = 100

func main() {
	vigil := flag.String("vigil", "bin/vigil", "the binary")
	most := flag.Int("most", 1000, "the largest number of services")
	flag.Parse()
	if err := run(*vigil, *most); err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}

// reading is the PSS in KiB by the role of a process.
type reading map[string]int

func (r reading) sum() int {
	n := 0
	for _, kib := range r {
		n += kib
	}
	return n
}

// pss reads one process; 0 when it is gone.
func pss(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return n
		}
	}
	return 0
}

// command is the name of a process, as far as proc(5) keeps it.
func command(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(b))
}

// argument is word i of a command line; the supervisor is told by it.
func argument(pid, i int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	words := strings.Split(string(b), "\x00")
	if i >= len(words) {
		return ""
	}
	return words[i]
}

// read sums the supervision processes below and with root; role says which
// process is one, and as what it counts.
func read(root int, role func(pid int) string) reading {
	r := reading{}
	for _, pid := range append([]int{root}, rig.Descendants(root)...) {
		if name := role(pid); name != "" {
			r[name] += pss(pid)
		}
	}
	return r
}

// settled reads until two readings, settleStep apart, differ by less than 1 %.
func settled(root int, role func(pid int) string) (reading, error) {
	last, at := read(root, role), time.Now()
	var now reading
	err := rig.Wait("memory to settle", settleLimit, func() (bool, error) {
		if time.Since(at) < settleStep {
			return false, nil
		}
		now, at = read(root, role), time.Now()
		diff := now.sum() - last.sum()
		last = now
		return max(diff, -diff)*100 < now.sum(), nil
	})
	return now, err
}

func ofVigil(keeper int) func(int) string {
	return func(pid int) string {
		switch {
		case pid == keeper:
			return "keeper"
		case argument(pid, 1) == "supervisor":
			return "supervisor"
		}
		return ""
	}
}

func ofPeer(names ...string) func(int) string {
	return func(pid int) string {
		for _, name := range names {
			if command(pid) == name {
				return name
			}
		}
		return ""
	}
}

func configuration(sleep string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[service.s%04d]\ncommand = [%q, \"infinity\"]\n", i, sleep)
	}
	return b.String()
}

func measureVigil(binary, sleep string, n int) (r reading, err error) {
	s, err := rig.Vigil(binary, fmt.Sprintf("vigil with %d services", n), configuration(sleep, n))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := s.Running(n); err != nil {
		return nil, err
	}
	return settled(s.PID(), ofVigil(s.PID()))
}

// measurePeer waits until each of its services is there.
func measurePeer(s *rig.Supervisor, err error, names ...string) (r reading, _ error) {
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	err = rig.Wait(s.Name+" to start its services", settleLimit, func() (bool, error) {
		n := 0
		for _, pid := range rig.Descendants(s.PID()) {
			if command(pid) == "sleep" {
				n++
			}
		}
		return n == among, nil
	})
	if err != nil {
		return nil, err
	}
	return settled(s.PID(), ofPeer(names...))
}

func run(binary string, most int) error {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		return err
	}
	if sleep, err = filepath.Abs(sleep); err != nil {
		return err
	}
	fmt.Printf("memory (PSS, KiB) of the supervision alone, services `sleep infinity`\n\n%-12s %10s %10s %10s %24s\n",
		"vigil", "keeper", "supervisor", "sum", "per further service")
	var before reading
	hundred, last := 0, 0
	for _, n := range []int{1, among, most} {
		r, err := measureVigil(binary, sleep, n)
		if err != nil {
			return err
		}
		each := ""
		if before != nil && n > last {
			more := float64(n - last)
			each = fmt.Sprintf("%.1f (%.1f + %.1f)", float64(r.sum()-before.sum())/more,
				float64(r["keeper"]-before["keeper"])/more, float64(r["supervisor"]-before["supervisor"])/more)
		}
		fmt.Printf("%-12d %10d %10d %10d %24s\n", n, r["keeper"], r["supervisor"], r.sum(), each)
		if n == among {
			hundred = r.sum()
		}
		before, last = r, n
	}
	return comparePeers(sleep, hundred)
}

func comparePeers(sleep string, vigil int) error {
	fmt.Printf("\n%-12s %10s %12s %16s\n", "peer", "services", "sum", "vigil / this one")
	runit := func() (reading, error) {
		s, err := rig.Runit(among, rig.Script(sleep+" infinity"))
		return measurePeer(s, err, "runsvdir", "runsv")
	}
	s6 := func() (reading, error) {
		s, err := rig.S6(among, rig.Script(sleep+" infinity"), false)
		return measurePeer(s, err, "s6-svscan", "s6-supervise")
	}
	for _, peer := range []struct {
		name    string
		measure func() (reading, error)
	}{{"runit", runit}, {"s6", s6}} {
		r, err := peer.measure()
		if errors.Is(err, exec.ErrNotFound) {
			fmt.Println(err)
			continue
		}
		if err != nil {
			return err
		}
		fmt.Printf("%-12s %10d %12d %16.2f\n", peer.name, among, r.sum(), float64(vigil)/float64(r.sum()))
	}
	return nil
}
