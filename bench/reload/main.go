// Command reload measures what a reload costs: from just before HUP is sent to
// the first answer of the new supervisor on the control socket, with one
// service and with many, and what a service that writes a line every
// millisecond notices of it: the longest time between two lines, and lines that
// are missing in its log. The time that the same binary takes to start and to
// print its version is measured in between: a reload has one such start in it,
// so the ratio says what the rest costs, on any machine.
//
//	go run ./bench/reload [-n 100] [-services 100] [-vigil bin/vigil]
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/internal/rig"
)

const (
	writerVariable = "BENCH_RELOAD_WRITER"  // set: we are the service that writes
	pause          = 250 * time.Millisecond // between two reloads: vigil keeps a gap of 200 ms
	patience       = 30 * time.Second
)

func main() {
	if os.Getenv(writerVariable) != "" {
		write()
		return
	}
	n := flag.Int("n", 100, "reloads")
	services := flag.Int("services", 100, "services of the larger vigil")
	vigil := flag.String("vigil", "bin/vigil", "the binary")
	flag.Parse()
	if err := run(*n, *services, *vigil); err != nil {
		fmt.Fprintln(os.Stderr, "reload:", err)
		os.Exit(1)
	}
}

// write is the service: a line with its number and the time, every millisecond.
func write() {
	tick := time.NewTicker(time.Millisecond)
	for n := 0; ; n++ {
		fmt.Printf("%d %d\n", n, rig.Monotonic())
		<-tick.C
	}
}

func run(n, services int, vigil string) error {
	fmt.Printf("%d reloads of each, milliseconds\n\n%-14s %8s %8s %8s %24s %14s %14s\n", n,
		"services", "median", "p99", "max", "start of a process", "longest pause", "lines missing")
	for _, count := range []int{1, services} {
		if err := measure(n, count, vigil); err != nil {
			return err
		}
	}
	return nil
}

func measure(n, count int, vigil string) (err error) {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "[service.writer]\ncommand = [%q]\nenvironment = { %s = \"1\" }\n", own, writerVariable)
	for i := 1; i < count; i++ {
		fmt.Fprintf(&text, "[service.s%03d]\ncommand = [\"sleep\", \"100000\"]\n", i)
	}
	s, err := rig.Vigil(vigil, "vigil", text.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := s.Running(count); err != nil {
		return err
	}
	var reloads, starts []time.Duration
	for range n {
		<-time.After(pause)
		d, err := reload(s)
		if err != nil {
			return err
		}
		reloads = append(reloads, d)
		begin := rig.Monotonic()
		if err := exec.Command(vigil, "version").Run(); err != nil {
			return fmt.Errorf("cannot run vigil version: %w", err)
		}
		starts = append(starts, rig.Monotonic()-begin)
	}
	longest, missing, err := gaps(filepath.Join(s.Dir, "state", "log", "writer.log"))
	if err != nil {
		return err
	}
	start, median := rig.Median(starts), rig.Median(reloads)
	fmt.Printf("%-14d %8.1f %8.1f %8.1f %14.1f (x %5.2f) %14.1f %14d\n", count, rig.Milliseconds(median),
		rig.Milliseconds(rig.Quantile(reloads, 0.99)), rig.Milliseconds(rig.Quantile(reloads, 1)),
		rig.Milliseconds(start), float64(median)/float64(start), rig.Milliseconds(longest), missing)
	return nil
}

// reload returns the time from HUP to the first answer of another supervisor.
func reload(s *rig.Supervisor) (time.Duration, error) {
	socket := filepath.Join(s.Dir, "run", control.SocketName)
	before, err := supervisor(socket)
	if err != nil {
		return 0, err
	}
	begin := rig.Monotonic()
	if err := unix.Kill(s.PID(), unix.SIGHUP); err != nil {
		return 0, fmt.Errorf("cannot send HUP: %w", err)
	}
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for range tick.C {
		now, err := supervisor(socket)
		took := rig.Monotonic() - begin
		if err == nil && now != before {
			return took, nil
		}
		if took > patience {
			return 0, fmt.Errorf("cannot see a new supervisor within %s: %w", patience, err)
		}
	}
	return 0, nil
}

func supervisor(socket string) (pid int, err error) {
	c, err := client.Dial(socket)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	i, err := c.Instance(context.Background())
	return i.Supervisor, err
}

// gaps reads what the writer wrote, as far as it is in the file by now.
func gaps(file string) (longest time.Duration, missing int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }()
	next, last := 0, int64(0)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var n int
		var at int64
		if _, err := fmt.Sscanf(lines.Text(), "%d %d", &n, &at); err != nil {
			continue // the last line may be half written
		}
		missing += n - next
		if last != 0 {
			longest = max(longest, time.Duration(at-last))
		}
		next, last = n+1, at
	}
	return longest, missing, nil
}
