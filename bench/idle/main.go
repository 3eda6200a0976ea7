// Command idle measures what watching costs while nothing happens: the processor
// time of vigil's keeper and supervisor with 100 services that have three signs of
// life each (a beat by sd_notify every 3 s, an activity that beats every second,
// a rule about threads), next to the same services without any, in the same run.
//
//	go run ./bench/idle [-n 100] [-time 30s] [-vigil bin/vigil]
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/heartbeat"
	"github.com/vigil-supervisor/vigil/internal/rig"
)

// roleVariable makes the bench a service: "watched" or "plain".
const roleVariable = "BENCH_IDLE_ROLE"

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		exit(serve(role))
	}
	n := flag.Int("n", 100, "services")
	span := flag.Duration("time", 30*time.Second, "how long to measure")
	vigil := flag.String("vigil", "bin/vigil", "the binary")
	flag.Parse()
	exit(run(*n, *span, *vigil))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "idle:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve is one service.
func serve(role string) error {
	if role == "plain" {
		select {}
	}
	page, err := heartbeat.Default()
	if err != nil {
		return err
	}
	a, err := page.Claim("worker", 10*time.Second)
	if err != nil {
		return err
	}
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	a.Busy()
	tick := time.NewTicker(time.Second)
	for i := 0; ; i++ {
		a.Beat()
		if i%3 == 0 {
			if _, err := conn.Write([]byte("WATCHDOG=1")); err != nil {
				return err
			}
		}
		<-tick.C
	}
}

func configuration(self, role string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[service.s%d]\ncommand = [%q]\nenvironment = { %s = %q, GOMAXPROCS = \"1\" }\n", i, self, roleVariable, role)
		if role == "watched" {
			fmt.Fprintf(&b, "heartbeat.timeout = \"10s\"\n[[service.s%d.thread]]\nname = \"idle*\"\nwithin = \"10s\"\n", i)
		} else {
			b.WriteString("heartbeat.activities = 0\n")
		}
	}
	return b.String()
}

// busy is how long the threads of a process have had a processor, schedstat of
// proc(5).
func busy(pid int) (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("cannot find the threads of %d: %w", pid, err)
	}
	var sum time.Duration
	for _, path := range tasks {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

func run(n int, span time.Duration, vigil string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	plain, err := measure(self, "plain", n, span, vigil)
	if err != nil {
		return err
	}
	watched, err := measure(self, "watched", n, span, vigil)
	if err != nil {
		return err
	}
	fmt.Printf("processor time of keeper and supervisor, %d services, %s\n\n%-22s %12s %10s\n", n, span, "services", "of one core", "ratio")
	fmt.Printf("%-22s %10.3f %% %10.2f\n", "without signs", plain*100, 1.0)
	fmt.Printf("%-22s %10.3f %% %10.2f\n", "three signs each", watched*100, watched/plain)
	return nil
}

// measure returns a share of one core.
func measure(self, role string, n int, span time.Duration, vigil string) (share float64, err error) {
	s, err := rig.Vigil(vigil, role, configuration(self, role, n))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := s.Running(n); err != nil {
		return 0, err
	}
	pids := []int{s.PID()}
	for _, pid := range rig.Descendants(s.PID()) {
		if text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); strings.TrimSpace(string(text)) == "vigil" {
			pids = append(pids, pid)
		}
	}
	settle := time.NewTimer(10 * time.Second) // what a start costs is not what is measured
	<-settle.C
	before, err := sum(pids)
	if err != nil {
		return 0, err
	}
	begin := rig.Monotonic()
	<-time.After(span)
	after, err := sum(pids)
	return float64(after-before) / float64(rig.Monotonic()-begin), err
}

func sum(pids []int) (all time.Duration, err error) {
	for _, pid := range pids {
		d, err := busy(pid)
		if err != nil {
			return 0, err
		}
		all += d
	}
	return all, nil
}
