// Command slots measures what it costs to watch activities: the processor time
// of scans of a page, ten times a second as with a timeout of 2 s, while a
// program beats in every slot between two scans. Beside it, in the same run, a
// plain copy of the same memory, which is the least that looking at it can cost.
//
//	go run ./bench/slots [-slots 63,4096,100000] [-seconds 5]
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/internal/rig"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// Ten scans a second: a twentieth of the timeout.
const (
	timeout = 2 * time.Second
	period  = 100 * time.Millisecond
)

func main() {
	slots := flag.String("slots", "63,4096,100000", "sizes of pages")
	seconds := flag.Int("seconds", 5, "of each measurement")
	flag.Parse()
	if err := run(*slots, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, "slots:", err)
		os.Exit(1)
	}
}

func run(sizes string, seconds int) error {
	fmt.Printf("activities watched, scans of 100 ms, every slot busy and beating, median of %d scans\n\n", rounds(seconds))
	fmt.Printf("%10s %12s %14s %12s %12s\n", "slots", "scan", "of one core", "plain copy", "scan/copy")
	for _, word := range strings.Split(sizes, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > wire.MaxSlots {
			return fmt.Errorf("cannot make a page of %q slots: 1 to %d", word, wire.MaxSlots)
		}
		scan, plain, err := measure(n, rounds(seconds))
		if err != nil {
			return err
		}
		fmt.Printf("%10d %9.3f ms %12.3f %% %9.3f ms %12.2f\n", n, rig.Milliseconds(scan),
			100*scan.Seconds()/period.Seconds(), rig.Milliseconds(plain), float64(scan)/float64(max(plain, 1)))
	}
	return nil
}

func rounds(seconds int) int { return max(seconds, 1) * int(time.Second/period) }

// measure watches a page of n slots. The thread is its own, so that its
// processor time is that of the scans.
func measure(n, rounds int) (scan, plain time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f, err := watchdog.NewPage(n)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }()
	page, err := watchdog.MapPage(f)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, page.Close()) }()
	theirs, err := unix.Mmap(int(f.Fd()), 0, wire.PageSize(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, unix.Munmap(theirs)) }()
	slots, err := wire.PageSlots(theirs, n)
	if err != nil {
		return 0, 0, err
	}
	claim(slots)
	judge := watchdog.NewActivities(page, watchdog.ActivityOptions{})
	scans, copies, target := make([]time.Duration, 0, rounds), make([]time.Duration, 0, rounds), make([]byte, len(theirs))
	tick := time.NewTicker(period)
	defer tick.Stop()
	for range rounds {
		<-tick.C
		beat(slots)
		begin := processor()
		if v := judge.Check(rig.Boot()); v != nil {
			return 0, 0, fmt.Errorf("cannot measure: %s", v[0].Text)
		}
		scans = append(scans, processor()-begin)
		beat(slots)
		begin = processor()
		copy(target, theirs)
		copies = append(copies, processor()-begin)
	}
	return rig.Median(scans), rig.Median(copies), nil
}

func claim(slots []wire.Words) {
	for i := range slots {
		w := wire.EncodeSlot(wire.Slot{Pulse: wire.OneBeat | uint64(wire.Busy), Timeout: timeout, Serial: 1, Name: "work " + strconv.Itoa(i)})
		for j := len(w) - 1; j >= 0; j-- {
			slots[i][j].Store(w[j])
		}
	}
}

func beat(slots []wire.Words) {
	for i := range slots {
		slots[i][wire.WordPulse].Add(wire.OneBeat)
	}
}

// processor is the processor time of this thread, clock_gettime(2).
func processor() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) // cannot fail for this clock
	return time.Duration(ts.Nano())
}
