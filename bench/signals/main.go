// Command signals measures what a signal costs from kill(2) until a goroutine
// has it: through vigil's intake, which knows the sender, and beside it in the
// same run through os/signal, which does not. Each is sent after the one before
// was received.
//
//	go run ./bench/signals [-n 20000] [-rounds 5]
//	go run ./bench/signals -window bin/vigil
//
// The intake looks up two files of proc(5) for each sender; -n signals of a
// round come from the program itself. Median and 99th percentile are of all
// rounds, which alternate; the ratio is that of the medians.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/internal/rig"
	"github.com/vigil-supervisor/vigil/signals/intake"
)

// patience bounds the wait for one signal.
const patience = 10 * time.Second

func main() {
	n := flag.Int("n", 20_000, "signals of a round")
	rounds := flag.Int("rounds", 5, "rounds of each way")
	vigil := flag.String("window", "", "path of a vigil: measure instead how long after its execve a HUP can end it")
	trials := flag.Int("trials", 10, "of each delay, with -window")
	flag.Parse()
	if *vigil != "" {
		if err := window(*vigil, *trials); err != nil {
			fmt.Fprintln(os.Stderr, "signals:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*n, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "signals:", err)
		os.Exit(1)
	}
}

// run takes USR1 by the intake and USR2 by os/signal: not the same signal both
// ways, for os/signal must leave alone what the intake has.
func run(n, rounds int) error {
	in, err := intake.Start(syscall.SIGUSR1)
	if err != nil {
		return err
	}
	notified := make(chan os.Signal, 1)
	signal.Notify(notified, syscall.SIGUSR2)
	var ours, theirs []time.Duration
	for range rounds {
		if ours, err = measure(ours, n, syscall.SIGUSR1, in.Ready(), func() error { return one(in) }); err != nil {
			return err
		}
		if theirs, err = measure(theirs, n, syscall.SIGUSR2, notified, func() error { return nil }); err != nil {
			return err
		}
	}
	fmt.Printf("%-12s %12s %12s\n", "", "median us", "p99 us")
	for _, way := range []struct {
		name  string
		times []time.Duration
	}{{"intake", ours}, {"os/signal", theirs}} {
		fmt.Printf("%-12s %12.1f %12.1f\n", way.name, micro(rig.Median(way.times)), micro(rig.Quantile(way.times, 0.99)))
	}
	fmt.Printf("ratio        %12.2f\n", float64(rig.Median(ours))/float64(rig.Median(theirs)))
	return nil
}

func one(in *intake.Intake) error {
	if list := in.Take(); len(list) != 1 || list[0].Count != 1 || list[0].Sender.PID != os.Getpid() {
		return fmt.Errorf("cannot account for a signal: %+v", list)
	}
	return nil
}

// measure sends n signals, each after the one before was received.
func measure[T any](times []time.Duration, n int, sig syscall.Signal, received <-chan T, check func() error) ([]time.Duration, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for range n {
		late.Reset(patience)
		begin := rig.Monotonic()
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			return nil, fmt.Errorf("cannot send a signal: %w", err)
		}
		select {
		case <-received:
		case <-late.C:
			return nil, errors.New("cannot wait longer: a signal was lost")
		}
		times = append(times, rig.Monotonic()-begin)
		if err := check(); err != nil {
			return nil, err
		}
	}
	return times, nil
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
