// Command restart measures the time from the death of a service to the first
// instruction of its next instance: from just before kill(2) with SIGKILL to
// the clock that the new process reads as its first act. vigil, runit and s6
// run side by side and are killed in turn, so that the ratios of one run mean
// something when the figures of two do not.
//
//	go run ./bench/restart [-n 100] [-vigil bin/vigil]
//
// vigil is measured twice: on its standing order (the keeper starts the next
// instance without a question) and without it (the restart policy on-failure,
// where the supervisor decides). runit and s6 hold a service back that lived
// for less than a second, so every instance lives for longer here; s6 holds back
// always what has not told that it is ready, so here it tells it.
package main

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/rig"
)

// What the probe finds in its environment.
const (
	fifoVariable  = "BENCH_RESTART_FIFO"  // the FIFO to which it writes
	readyVariable = "BENCH_RESTART_READY" // set: a newline on descriptor 3 first, for s6
)

// Times of a round.
const (
	life    = 1200 * time.Millisecond // an instance lives at least this long
	gap     = 100 * time.Millisecond  // between two kills: one must not slow the next
	patient = 15 * time.Second        // for a probe to be heard
)

//go:embed testdata/probe.c
var source []byte

func main() {
	if path := os.Getenv(fifoVariable); path != "" {
		exit(probe(path)) // the service, where there is no C compiler
	}
	n := flag.Int("n", 100, "kills of each")
	vigil := flag.String("vigil", "bin/vigil", "the binary")
	flag.Parse()
	exit(run(*n, *vigil))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "restart:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// probe is probe.c once more. A Go program takes longer to its first own
// instruction, the same for all.
func probe(path string) error {
	now := rig.Monotonic()
	if os.Getenv(readyVariable) != "" {
		if _, err := unix.Write(rig.NotificationFD, []byte("\n")); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	word := binary.NativeEndian.AppendUint64(nil, uint64(now))
	word = binary.NativeEndian.AppendUint64(word, uint64(os.Getpid()))
	if _, err := f.Write(word); err != nil {
		return err
	}
	for {
		_ = unix.Pause()
	}
}

// contender is one way of being restarted.
type contender struct {
	name  string
	fifo  *os.File
	sup   *rig.Supervisor
	pid   int
	since time.Duration
	times []time.Duration
}

// hear waits for the next instance to tell itself.
func (c *contender) hear() error {
	if err := c.fifo.SetReadDeadline(time.Now().Add(patient)); err != nil {
		return err
	}
	var word [16]byte
	if _, err := c.fifo.Read(word[:]); err != nil {
		return fmt.Errorf("cannot hear a new instance of %s: %w", c.name, err)
	}
	c.since = time.Duration(binary.NativeEndian.Uint64(word[:]))
	c.pid = int(binary.NativeEndian.Uint64(word[8:]))
	return nil
}

// kill measures one restart.
func (c *contender) kill() error {
	p, err := os.FindProcess(c.pid)
	if err != nil {
		return err
	}
	defer func() { _ = p.Release() }()
	begin := rig.Monotonic()
	if err := p.Kill(); err != nil {
		return fmt.Errorf("cannot kill the service of %s: %w", c.name, err)
	}
	if err := c.hear(); err != nil {
		return err
	}
	c.times = append(c.times, c.since-begin)
	return nil
}

// service is the configuration of vigil: its policy alone differs.
func service(program, policy string) string {
	return fmt.Sprintf(`[service.probe]
command = [%q]
[service.probe.restart]
policy = %q
reset_after = "1s"
limit = { starts = 0 }
[service.probe.log]
max_size = "64KiB"
keep = 0
`, program, policy)
}

// ways are the contenders, in the order of the table.
func ways(program, vigil string) []way {
	return []way{
		{"vigil", func(env string) (*rig.Supervisor, error) {
			return rig.Vigil(vigil, "vigil", service(program, "always"), env)
		}},
		{"vigil, asks supervisor", func(env string) (*rig.Supervisor, error) {
			return rig.Vigil(vigil, "vigil, asks supervisor", service(program, "on-failure"), env)
		}},
		{"runit", func(env string) (*rig.Supervisor, error) { return rig.Runit(1, rig.Link(program), env) }},
		{"s6", func(env string) (*rig.Supervisor, error) {
			return rig.S6(1, rig.Link(program), true, env, readyVariable+"=1")
		}},
	}
}

type way struct {
	name  string
	start func(env string) (*rig.Supervisor, error)
}

func run(n int, vigil string) (err error) {
	dir, err := os.MkdirTemp("", "vigil-bench-restart-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program, language, err := build(dir)
	if err != nil {
		return err
	}
	var all []*contender
	defer func() {
		for _, c := range all {
			err = errors.Join(err, c.sup.Stop(), c.fifo.Close())
		}
	}()
	for i, w := range ways(program, vigil) {
		c, err := begin(w, filepath.Join(dir, fmt.Sprintf("fifo%d", i)))
		if errors.Is(err, exec.ErrNotFound) {
			fmt.Println(err)
			continue
		}
		if err != nil {
			return err
		}
		all = append(all, c)
		if err := c.hear(); err != nil {
			return err
		}
	}
	if err := rounds(all, n); err != nil {
		return err
	}
	report(all, n, language)
	return nil
}

// build makes the program that is killed: C where there is a compiler.
func build(dir string) (program, language string, err error) {
	program = filepath.Join(dir, "probe")
	if cc, err := exec.LookPath("gcc"); err == nil {
		file := filepath.Join(dir, "probe.c")
		if err := os.WriteFile(file, source, 0o600); err != nil {
			return "", "", err
		}
		out, err := exec.Command(cc, "-O2", "-static", "-o", program, file).CombinedOutput()
		if err == nil {
			return program, "C, static", nil
		}
		fmt.Fprintf(os.Stderr, "restart: cannot compile probe.c: %v\n%s", err, out)
	}
	program, err = os.Executable()
	return program, "Go", err
}

func begin(w way, fifo string) (*contender, error) {
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		return nil, fmt.Errorf("cannot make %s: %w", fifo, err)
	}
	// Both ends: it is never at its end. Non-blocking, so that deadlines work.
	f, err := os.OpenFile(fifo, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	sup, err := w.start(fifoVariable + "=" + fifo)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &contender{name: w.name, fifo: f, sup: sup}, nil
}

// rounds kills each in turn; every round begins with another.
func rounds(all []*contender, n int) error {
	for i := range n {
		for j := range all {
			c := all[(i+j)%len(all)]
			pause := max(life-(rig.Monotonic()-c.since), gap)
			<-time.After(pause)
			if err := c.kill(); err != nil {
				return err
			}
		}
	}
	return nil
}

func report(all []*contender, n int, language string) {
	fmt.Printf("death (SIGKILL) to the first instruction of the next instance (%s), %d kills of each, milliseconds\n\n", language, n)
	fmt.Printf("%-24s %8s %8s %8s %16s\n", "way", "median", "p90", "p99", "vigil / this one")
	first := rig.Median(all[0].times)
	for _, c := range all {
		m := rig.Median(c.times)
		fmt.Printf("%-24s %8.3f %8.3f %8.3f %16.2f\n", c.name, rig.Milliseconds(m), rig.Milliseconds(rig.Quantile(c.times, 0.9)),
			rig.Milliseconds(rig.Quantile(c.times, 0.99)), float64(first)/float64(m))
	}
}
