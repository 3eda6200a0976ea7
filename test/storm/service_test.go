package storm

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Files that the services share with the tests, in one directory.
const (
	alarmFile   = "ALARM"   // a service that found another instance of itself
	lockSuffix  = ".lock"   // held by the instance that runs
	startSuffix = ".starts" // one line for each start: pid and mark
)

// markEnv is text from the configuration that an instance was started with.
const markEnv = "STORM_MARK"

// lineEvery is how often a service writes a line.
const lineEvery = 10 * time.Millisecond

// playService is a service: it makes sure that it is the only one of its name,
// and writes numbered lines until TERM.
func playService(dir, name string) int {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path+lockSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		note(filepath.Join(dir, alarmFile), fmt.Sprintf("%s pid %d: another instance lives: %v", name, os.Getpid(), err))
		return 1
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	note(path+startSuffix, fmt.Sprintf("%d %s", os.Getpid(), os.Getenv(markEnv)))
	tick := time.NewTicker(lineEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		if _, err := fmt.Printf("%s %d %d\n", name, os.Getpid(), n); err != nil {
			return 2
		}
		select {
		case <-tick.C:
		case <-term:
			return 0
		}
	}
}

// note appends a line in one write.
func note(path, line string) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		_, err = f.WriteString(line + "\n")
		f.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
