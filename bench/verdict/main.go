// Command verdict measures how late the verdict of a hang is: from the moment
// at which the beat is overdue (the last one was sent a heartbeat.timeout ago)
// to the moment that the timeline of the incident gives for the verdict. Both
// are CLOCK_BOOTTIME. The sending of the beat is in it.
//
//	go run ./bench/verdict [-n 30] [-timeout 300ms] [-load] [-vigil bin/vigil]
//
// With -load each processor has a process that spins, from the beginning on.
package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/rig"
)

// What the service finds in its environment: FIFOs that tell it to begin, and
// to which it tells its last beat.
const (
	goVariable   = "BENCH_VERDICT_GO"
	beatVariable = "BENCH_VERDICT_BEAT"
)

// patient bounds each wait.
const patient = 30 * time.Second

func main() {
	rig.BurnIfAsked()
	if path := os.Getenv(goVariable); path != "" {
		exit(service(path, os.Getenv(beatVariable)))
	}
	n := flag.Int("n", 30, "hangs")
	timeout := flag.Duration("timeout", 300*time.Millisecond, "heartbeat.timeout of the service")
	vigil := flag.String("vigil", "bin/vigil", "the binary")
	load := flag.Bool("load", false, "keep every processor busy")
	flag.Parse()
	if *load {
		end, err := rig.Burn()
		if err != nil {
			exit(err)
		}
		err = run(*n, *timeout, *vigil)
		end()
		exit(err)
	}
	exit(run(*n, *timeout, *vigil))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "verdict:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// service says that it is ready, beats four times, and is silent for ever.
func service(begin, last string) error {
	in, err := os.OpenFile(begin, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if _, err := in.Read(make([]byte, 1)); err != nil {
		return err
	}
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	if _, err := conn.Write([]byte("READY=1")); err != nil {
		return err
	}
	var at time.Duration
	tick := time.NewTicker(20 * time.Millisecond)
	for range 4 {
		<-tick.C
		at = rig.Boot()
		if _, err := conn.Write([]byte("WATCHDOG=1")); err != nil {
			return err
		}
	}
	out, err := os.OpenFile(last, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if _, err := out.Write(binary.NativeEndian.AppendUint64(nil, uint64(at))); err != nil {
		return err
	}
	for {
		_ = unix.Pause()
	}
}

func configuration(program string, timeout time.Duration) string {
	return fmt.Sprintf(`[service.mute]
command = [%q]
runtime = "native"  # the quickest analysis: the next round does not wait for it
start_timeout = "5m"
[service.mute.ready]
notify = true
[service.mute.heartbeat]
timeout = %q
[service.mute.restart]
backoff = { min = "1ms", max = "1ms", jitter = 0.0 }
limit = { starts = 0 }
[service.mute.capture]
variables = false
`, program, timeout)
}

// pipes are both FIFOs, opened by the bench.
type pipes struct{ begin, last *os.File }

func makePipes(dir string) (p pipes, env []string, err error) {
	for _, one := range []struct {
		at   **os.File
		name string
	}{{&p.begin, goVariable}, {&p.last, beatVariable}} {
		path := filepath.Join(dir, one.name)
		if err := unix.Mkfifo(path, 0o600); err != nil {
			return p, nil, fmt.Errorf("cannot make %s: %w", path, err)
		}
		if *one.at, err = os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0); err != nil {
			return p, nil, err
		}
		env = append(env, one.name+"="+path)
	}
	return p, env, nil
}

func (p pipes) close() {
	for _, f := range []*os.File{p.begin, p.last} {
		if f != nil {
			_ = f.Close()
		}
	}
}

func run(n int, timeout time.Duration, vigil string) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "vigil-bench-verdict-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, env, err := makePipes(dir)
	defer p.close()
	if err != nil {
		return err
	}
	s, err := rig.Vigil(vigil, "vigil", configuration(self, timeout), env...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	var late []time.Duration
	for i := range n {
		d, err := round(s, p, i, timeout)
		if err != nil {
			return err
		}
		late = append(late, d)
	}
	fmt.Printf("hang verdict after the deadline (heartbeat.timeout %s), %d hangs, milliseconds\n\n", timeout, n)
	fmt.Printf("%10s %10s %10s %10s\n", "least", "median", "p99", "most")
	fmt.Printf("%10.3f %10.3f %10.3f %10.3f\n", rig.Milliseconds(rig.Quantile(late, 0)), rig.Milliseconds(rig.Median(late)),
		rig.Milliseconds(rig.Quantile(late, 0.99)), rig.Milliseconds(rig.Quantile(late, 1)))
	return nil
}

// round is one hang, until its incident is complete.
func round(s *rig.Supervisor, p pipes, before int, timeout time.Duration) (time.Duration, error) {
	if _, err := p.begin.Write([]byte{1}); err != nil {
		return 0, err
	}
	if err := p.last.SetReadDeadline(time.Now().Add(patient)); err != nil {
		return 0, err
	}
	var word [8]byte
	if _, err := p.last.Read(word[:]); err != nil {
		return 0, fmt.Errorf("cannot hear of the last beat: %w", err)
	}
	beat := time.Duration(binary.NativeEndian.Uint64(word[:]))
	if err := rig.Wait("the incident to be complete", patient, func() (bool, error) { return complete(s, before+1) }); err != nil {
		return 0, err
	}
	verdict, err := verdictAfter(s, beat)
	return verdict - beat - timeout, err
}

func complete(s *rig.Supervisor, n int) (bool, error) {
	var list []struct {
		Status string `json:"status"`
	}
	if err := s.Ask(&list, "incidents", "list"); err != nil {
		return false, nil //nolint:nilerr // exit code 3: there is none yet
	}
	done := 0
	for _, one := range list {
		if one.Status == "complete" || one.Status == "partial" {
			done++
		}
	}
	return done >= n, nil
}

// verdictAfter finds the verdict that follows a beat in the newest incident.
func verdictAfter(s *rig.Supervisor, beat time.Duration) (time.Duration, error) {
	var shown struct {
		Timeline []struct {
			Boot time.Duration `json:"boot_ns"`
			Kind string        `json:"kind"`
		} `json:"timeline"`
	}
	if err := s.Ask(&shown, "incidents", "show", "last"); err != nil {
		return 0, err
	}
	for _, m := range shown.Timeline {
		if m.Kind == "verdict" && m.Boot > beat {
			return m.Boot, nil
		}
	}
	return 0, fmt.Errorf("cannot find the verdict in the timeline of the newest incident (%d moments)", len(shown.Timeline))
}
