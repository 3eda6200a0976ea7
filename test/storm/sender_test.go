package storm

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// volley is what a sender does: signals to one process, at random.
type volley struct {
	PID     int
	Seed    uint64
	Signals []syscall.Signal
	Time    time.Duration
	Pause   time.Duration // longest, between two of them
	Most    int           // 0: no limit
}

// playSender sends single signals and pairs without a gap, and tells how many
// of each on standard output. It holds the process by a pidfd: a pid that is
// somebody else's by then gets nothing.
func playSender(text string) int {
	var v volley
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fd, err := unix.PidfdOpen(v.PID, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	rnd := rand.New(rand.NewPCG(v.Seed, 1))
	sent, total := map[int]int{}, 0
	send := func(s syscall.Signal) {
		if unix.PidfdSendSignal(fd, s, nil, 0) == nil {
			sent[int(s)]++
			total++
		}
	}
	end := time.NewTimer(v.Time)
	for more := true; more && (v.Most == 0 || total < v.Most); {
		first := v.Signals[rnd.IntN(len(v.Signals))]
		send(first)
		switch rnd.IntN(3) {
		case 0:
			send(first)
		case 1:
			send(v.Signals[rnd.IntN(len(v.Signals))])
		}
		if v.Pause == 0 {
			continue
		}
		pause := time.NewTimer(time.Duration(rnd.Int64N(int64(v.Pause))))
		select {
		case <-pause.C:
		case <-end.C:
			more = false
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(sent); err != nil {
		return 1
	}
	return 0
}

// shoot runs a sender to its end and returns how many of each signal it sent.
func shoot(v volley) (map[int]int, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe", string(text))
	cmd.Env = append(os.Environ(), roleEnv+"="+roleSender)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot send signals: %w", err)
	}
	sent := map[int]int{}
	return sent, json.Unmarshal(out, &sent)
}
