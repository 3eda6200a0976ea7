// Command beat measures what a beat costs the program that gives it: one store
// into the page of activities, by the Go package and by the C header, and beside
// them in the same run one datagram of sd_notify, which systemd's watchdog wants.
//
//	go run ./bench/beat [-n 20000000] [-rounds 7]
//
// A round is n beats of each way and n / 1000 datagrams; the table has medians of
// all rounds, which alternate. The datagram is sent as sd_notify(3) does, with a
// socket of its own, to a receiver that reads as fast as it can.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat"
	"github.com/vigil-supervisor/vigil/heartbeat/clienttest"
	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/internal/rig"
)

//go:embed testdata/beat.c
var source []byte

func main() {
	n := flag.Int("n", 20_000_000, "beats of a round")
	rounds := flag.Int("rounds", 7, "rounds of each way")
	header := flag.String("header", "heartbeat/c", "directory of vigil_heartbeat.h")
	flag.Parse()
	if err := run(*n, *rounds, *header); err != nil {
		fmt.Fprintln(os.Stderr, "beat:", err)
		os.Exit(1)
	}
}

// way is one way to say that a program is alive: it does so n times and returns
// how long that took in all.
type way struct {
	name  string
	n     int
	do    func(n int) (time.Duration, error)
	times []time.Duration
}

func run(n, rounds int, header string) (err error) {
	dir, err := os.MkdirTemp("", "vigil-beat-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	page, err := clienttest.New(wire.DefaultSlots)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, page.Close()) }()

	goBeat, err := byGo(page)
	if err != nil {
		return err
	}
	ways := []*way{{name: "Go", n: n, do: goBeat}}
	if cc, err := exec.LookPath("gcc"); err != nil {
		fmt.Println("without gcc: its row is missing (scripts/install-test-deps.sh installs it)")
	} else {
		cBeat, err := byC(cc, dir, header, page)
		if err != nil {
			return err
		}
		ways = append(ways, &way{name: "C", n: n, do: cBeat})
	}
	receiver, datagram, err := byDatagram(filepath.Join(dir, "notify"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, receiver.Close()) }()
	notify := &way{name: "sd_notify", n: max(n/1000, 1), do: datagram}
	ways = append(ways, notify)
	for range rounds {
		for _, w := range ways {
			took, err := w.do(w.n)
			if err != nil {
				return fmt.Errorf("cannot measure %s: %w", w.name, err)
			}
			w.times = append(w.times, took)
		}
	}
	fmt.Printf("%-10s %12s %12s %16s\n", "", "ns a beat", "least", "sd_notify / this")
	for _, w := range ways {
		fmt.Printf("%-10s %12.2f %12.2f %16.0f\n", w.name, w.each(rig.Median(w.times)), w.each(rig.Quantile(w.times, 0)),
			notify.each(rig.Median(notify.times))/w.each(rig.Median(w.times)))
	}
	return nil
}

// each is one of n, in nanoseconds.
func (w *way) each(all time.Duration) float64 { return float64(all) / float64(w.n) }

func byGo(page *clienttest.Page) (func(int) (time.Duration, error), error) {
	fd, err := unix.FcntlInt(page.File.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("cannot duplicate the page: %w", err)
	}
	mine, err := heartbeat.Attach(fd)
	if err != nil {
		return nil, err
	}
	activity, err := mine.Claim("beat", 0)
	if err != nil {
		return nil, err
	}
	activity.Busy()
	return func(n int) (time.Duration, error) {
		begin := rig.Monotonic()
		for range n {
			activity.Beat()
		}
		return rig.Monotonic() - begin, nil
	}, nil
}

func byC(cc, dir, header string, page *clienttest.Page) (func(int) (time.Duration, error), error) {
	file, program := filepath.Join(dir, "beat.c"), filepath.Join(dir, "beat")
	if err := os.WriteFile(file, source, 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.Command(cc, "-O2", "-I", header, "-o", program, file).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot compile %s: %w: %s", file, err, out)
	}
	return func(n int) (time.Duration, error) {
		cmd := exec.Command(program, strconv.Itoa(n))
		cmd.ExtraFiles = []*os.File{page.File}
		cmd.Env = []string{wire.HeartbeatFD + "=3"}
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return 0, err
		}
		took, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
		return time.Duration(took), err
	}, nil
}

func byDatagram(path string) (*net.UnixConn, func(int) (time.Duration, error), error) {
	receiver, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		return nil, nil, err
	}
	go func() { // until it is closed
		for b := make([]byte, 4096); ; {
			if _, err := receiver.Read(b); err != nil {
				return
			}
		}
	}()
	if err := os.Setenv("NOTIFY_SOCKET", path); err != nil {
		return nil, nil, err
	}
	return receiver, func(n int) (time.Duration, error) {
		begin := rig.Monotonic()
		for range n {
			if err := heartbeat.Notify("WATCHDOG=1"); err != nil {
				return 0, err
			}
		}
		return rig.Monotonic() - begin, nil
	}, nil
}
