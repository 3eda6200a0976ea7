package logrotate

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	roleEnv = "LOGROTATE_TEST_ROLE"
	program = "/usr/sbin/logrotate"
	module  = "../.." // the root of the module, from here
)

// binary is vigil, built once.
var binary string

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(play(role))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vigil-logrotate-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot make a directory for vigil:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "vigil")
	if out, err := exec.Command("go", "build", "-o", binary, module+"/cmd/vigil").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build vigil: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// play is a service in its working directory: from the time that a file "go" is
// there until TERM it writes numbered lines. "captured" writes to standard
// output, "own" to own/own.log, which it opens anew at USR1.
func play(role string) int {
	terminate, usr1 := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	signal.Notify(usr1, syscall.SIGUSR1)
	out := os.Stdout
	open := func() {
		f, err := os.OpenFile("own/own.log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		out = f
	}
	if role == "own" {
		open()
	}
	tick := time.NewTicker(time.Millisecond)
	for n := 0; ; {
		if _, err := os.Stat("go"); err == nil {
			n++
			fmt.Fprintf(out, "line %d\n", n)
		}
		select {
		case <-usr1:
			if role == "own" {
				out.Close()
				open()
			}
		case <-tick.C:
		case <-terminate:
			fmt.Fprintf(out, "last %d\n", n)
			return 0
		}
	}
}
