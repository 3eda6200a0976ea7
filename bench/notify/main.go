// Command notify measures how many sd_notify datagrams a second vigil takes: one
// service sends beats as quickly as its socket, a blocking one, lets it. The time
// is the sender's, since no more than net.unix.max_dgram_qlen of them wait when
// its last call returns. That none is lost is held by vigil's own count. Beside
// it, in the same run, the same sender in front of a program that only receives.
//
//	go run ./bench/notify [-n 200000] [-rounds 3] [-vigil bin/vigil]
package main

import (
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

	"github.com/vigil-supervisor/vigil/internal/rig"
)

// What the sender finds in its environment.
const (
	countVariable = "BENCH_NOTIFY_COUNT"
	patient       = 2 * time.Minute
)

func main() {
	if n := os.Getenv(countVariable); n != "" {
		exit(send(n))
	}
	n := flag.Int("n", 200000, "datagrams of a round")
	rounds := flag.Int("rounds", 3, "rounds")
	vigil := flag.String("vigil", "bin/vigil", "the binary")
	flag.Parse()
	exit(run(*n, *rounds, *vigil))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "notify:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// send is the service.
func send(count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	if _, err := conn.Write([]byte("READY=1")); err != nil {
		return err
	}
	begin := rig.Monotonic()
	beat := []byte("WATCHDOG=1")
	for range n {
		if _, err := conn.Write(beat); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(conn, "STATUS=%d", rig.Monotonic()-begin); err != nil {
		return err
	}
	for {
		_ = unix.Pause()
	}
}

// around is what is sent besides the beats: READY and STATUS.
const around = 2

func run(n, rounds int, vigil string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var plain, taken []time.Duration
	for range rounds {
		p, err := ofPlain(self, n)
		if err != nil {
			return err
		}
		v, err := ofVigil(self, vigil, n)
		if err != nil {
			return err
		}
		plain, taken = append(plain, p), append(taken, v)
	}
	p, v := rig.Median(plain), rig.Median(taken)
	fmt.Printf("sd_notify datagrams, %d in a row, median of %d rounds, none lost\n\n", n, rounds)
	fmt.Printf("%-22s %14s %10s\n", "taken by", "a second", "ratio")
	fmt.Printf("%-22s %14.0f %10.2f\n", "a program that receives", perSecond(n, p), 1.0)
	fmt.Printf("%-22s %14.0f %10.2f\n", "vigil", perSecond(n, v), float64(p)/float64(v))
	return nil
}

func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

// ofPlain is the sender in front of a loop that receives.
func ofPlain(self string, n int) (d time.Duration, err error) {
	dir, err := os.MkdirTemp("", "vigil-bench-notify-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), countVariable+"="+strconv.Itoa(n), "NOTIFY_SOCKET="+path)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if err := conn.SetReadDeadline(time.Now().Add(patient)); err != nil {
		return 0, err
	}
	text := make([]byte, 4096)
	got := 0
	for got < n+around {
		size, err := conn.Read(text)
		if err != nil {
			return 0, fmt.Errorf("cannot receive datagram %d: %w", got, err)
		}
		got++
		if ns, ok := strings.CutPrefix(string(text[:size]), "STATUS="); ok {
			return elapsed(ns, got, n)
		}
	}
	return 0, errors.New("the sender did not tell its time")
}

// elapsed reads the sender's time, and holds that all has come.
func elapsed(ns string, got, n int) (time.Duration, error) {
	d, err := strconv.ParseInt(ns, 10, 64)
	if err != nil {
		return 0, err
	}
	if got != n+around {
		return 0, fmt.Errorf("%d datagrams of %d have come", got, n+around)
	}
	return time.Duration(d), nil
}

// ofVigil is the sender as a service.
func ofVigil(self, vigil string, n int) (d time.Duration, err error) {
	s, err := rig.Vigil(vigil, "vigil", fmt.Sprintf("[service.sender]\ncommand = [%q]\nheartbeat.timeout = \"60s\"\nready.notify = true\n", self),
		countVariable+"="+strconv.Itoa(n))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	err = rig.Wait("the sender to be done", patient, func() (bool, error) {
		var list []struct {
			Status   string `json:"status"`
			Notified int    `json:"notify_datagrams"`
			State    string `json:"state"`
		}
		if err := s.Ask(&list, "status"); err != nil || len(list) != 1 || list[0].Status == "" {
			return false, nil //nolint:nilerr // it is not up yet
		}
		d, err = elapsed(list[0].Status, list[0].Notified, n)
		return true, err
	})
	return d, err
}
