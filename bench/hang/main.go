// Command hang measures what a service with a hang costs its users beyond the
// verdict: from the moment of the verdict to the first instruction of the next
// instance, with the stacks of all goroutines in the store in the end. Both
// moments are CLOCK_BOOTTIME.
//
//	make build && go run ./bench/hang [-n 10] [-goroutines 10,1000,10000] [-vigil bin/vigil]
//
// Beside it stands the same service without goroutines to speak of, in the same
// run: the ratio is what their number costs.
package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/rig"
)

// What the service finds in its environment: FIFOs that tell it to begin, and
// to which it tells its birth and its last beat; and how many goroutines to have.
const (
	bornVariable = "BENCH_HANG_BORN"
	goVariable   = "BENCH_HANG_GO"
	beatVariable = "BENCH_HANG_BEAT"
	sizeVariable = "BENCH_HANG_SIZE"
)

const (
	patient = 2 * time.Minute // bounds each wait
	timeout = 300 * time.Millisecond
)

func main() {
	if os.Getenv(goVariable) != "" {
		exit(service())
	}
	n := flag.Int("n", 10, "hangs of each size")
	sizes := flag.String("goroutines", "10,1000,10000", "numbers of goroutines; the first is what the others are compared with")
	vigil := flag.String("vigil", "bin/vigil", "the binary")
	flag.Parse()
	exit(run(*n, strings.Split(*sizes, ","), *vigil))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "hang:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// service tells its birth, says that it is ready, beats four times, and hangs.
func service() error {
	if err := tell(bornVariable, rig.Boot()); err != nil {
		return err
	}
	size, err := strconv.Atoi(os.Getenv(sizeVariable))
	if err != nil {
		return err
	}
	var held sync.Mutex
	held.Lock()
	for range size {
		go wait(&held)
	}
	begin, err := os.OpenFile(os.Getenv(goVariable), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if _, err := begin.Read(make([]byte, 1)); err != nil {
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
	if err := tell(beatVariable, at); err != nil {
		return err
	}
	held.Lock()
	return nil
}

func wait(held *sync.Mutex) {
	held.Lock()
	defer held.Unlock()
}

// tell writes a time to one of the FIFOs.
func tell(variable string, at time.Duration) error {
	f, err := os.OpenFile(os.Getenv(variable), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(binary.NativeEndian.AppendUint64(nil, uint64(at)))
	return errors.Join(err, f.Close())
}

func configuration(program string) string {
	return fmt.Sprintf(`[service.mute]
command = [%q]
start_timeout = "5m"
[service.mute.ready]
notify = true
[service.mute.heartbeat]
timeout = %q
[service.mute.restart]
backoff = { min = "1ms", max = "1ms", jitter = 0.0 }
limit = { starts = 0 }
[service.mute.capture]
analysis_budget = "2m"
`, program, timeout)
}

// pipes are the FIFOs, opened by the bench.
type pipes struct{ born, begin, last *os.File }

func makePipes(dir string) (p pipes, env []string, err error) {
	for _, one := range []struct {
		at   **os.File
		name string
	}{{&p.born, bornVariable}, {&p.begin, goVariable}, {&p.last, beatVariable}} {
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
	for _, f := range []*os.File{p.born, p.begin, p.last} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// hear reads a time from a FIFO.
func hear(f *os.File, what string) (time.Duration, error) {
	if err := f.SetReadDeadline(time.Now().Add(patient)); err != nil {
		return 0, err
	}
	var word [8]byte
	if _, err := f.Read(word[:]); err != nil {
		return 0, fmt.Errorf("cannot hear of %s: %w", what, err)
	}
	return time.Duration(binary.NativeEndian.Uint64(word[:])), nil
}

func run(n int, sizes []string, vigil string) error {
	fmt.Printf("verdict of a hang to the first instruction of the next instance, %d hangs each, milliseconds\n\n", n)
	fmt.Printf("%10s %10s %10s %10s %10s %12s %s\n", "goroutines", "least", "median", "most", "ratio", "pause", "rung")
	var base time.Duration
	for _, size := range sizes {
		m, err := measure(n, size, vigil)
		if err != nil {
			return fmt.Errorf("%s goroutines: %w", size, err)
		}
		if base == 0 {
			base = rig.Median(m.gap)
		}
		fmt.Printf("%10s %10.1f %10.1f %10.1f %10.2f %12.1f %s\n", size, rig.Milliseconds(rig.Quantile(m.gap, 0)), rig.Milliseconds(rig.Median(m.gap)),
			rig.Milliseconds(rig.Quantile(m.gap, 1)), float64(rig.Median(m.gap))/float64(base), rig.Milliseconds(rig.Median(m.pause)), m.rung)
	}
	return nil
}

// measured is what one size came to.
type measured struct {
	gap, pause []time.Duration
	rung       string
}

func measure(n int, size, vigil string) (m measured, err error) {
	dir, err := os.MkdirTemp("", "vigil-bench-hang-")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	self := filepath.Join(dir, "service")
	if out, err := exec.Command("go", "build", "-o", self, "github.com/vigil-supervisor/vigil/bench/hang").CombinedOutput(); err != nil {
		return m, fmt.Errorf("cannot build the service, since what go run builds has no debug information: %w: %s", err, out)
	}
	p, env, err := makePipes(dir)
	defer p.close()
	if err != nil {
		return m, err
	}
	s, err := rig.Vigil(vigil, "vigil", configuration(self), append(env, sizeVariable+"="+size)...)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if _, err := hear(p.born, "the first instance"); err != nil {
		return m, err
	}
	for i := range n {
		if err := m.round(s, p, i, size); err != nil {
			return m, err
		}
	}
	return m, nil
}

// incident is what the bench reads of an incident.
type incident struct {
	Incident struct {
		Status  string   `json:"status"`
		Missing []string `json:"missing"`
		Freeze  struct {
			Method string  `json:"method"`
			Pause  float64 `json:"pause_seconds"`
		} `json:"freeze"`
	} `json:"incident"`
	Stacks struct {
		Total int `json:"total"`
	} `json:"stacks"`
	Timeline []struct {
		Boot time.Duration `json:"boot_ns"`
		Kind string        `json:"kind"`
	} `json:"timeline"`
}

// round is one hang, until its incident is complete.
func (m *measured) round(s *rig.Supervisor, p pipes, before int, size string) error {
	if _, err := p.begin.Write([]byte{1}); err != nil {
		return err
	}
	beat, err := hear(p.last, "the last beat")
	if err != nil {
		return err
	}
	next, err := hear(p.born, "the next instance")
	if err != nil {
		return err
	}
	if err := rig.Wait("the incident to be complete", patient, func() (bool, error) { return complete(s, before+1), nil }); err != nil {
		return err
	}
	var shown incident
	if err := s.Ask(&shown, "incidents", "show", "last"); err != nil {
		return err
	}
	if want, _ := strconv.Atoi(size); shown.Stacks.Total < want {
		return fmt.Errorf("the incident has %d goroutines; missing: %s", shown.Stacks.Total, strings.Join(shown.Incident.Missing, "; "))
	}
	for _, one := range shown.Timeline {
		if one.Kind == "verdict" && one.Boot > beat {
			m.gap, m.rung = append(m.gap, next-one.Boot), shown.Incident.Freeze.Method
			m.pause = append(m.pause, time.Duration(shown.Incident.Freeze.Pause*float64(time.Second)))
			return nil
		}
	}
	return errors.New("the incident has no verdict after the last beat")
}

// complete reports whether so many incidents are.
func complete(s *rig.Supervisor, n int) bool {
	var list []struct {
		Status string `json:"status"`
	}
	if s.Ask(&list, "incidents", "list") != nil {
		return false // exit code 3: there is none yet
	}
	done := 0
	for _, one := range list {
		if one.Status == "complete" || one.Status == "partial" {
			done++
		}
	}
	return done >= n
}
