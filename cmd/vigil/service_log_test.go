package main

import (
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// playLogger is a service that writes numbered lines to standard output and to
// a log of its own, until TERM. At USR1 it opens its log anew, or does not (deaf).
func playLogger(path, mode string) {
	usr1 := make(chan os.Signal, 1)
	signal.Notify(usr1, unix.SIGUSR1)
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, unix.SIGTERM)
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		must(err)
		return f
	}
	log := open()
	tick := time.NewTicker(time.Millisecond)
	for n := 1; ; n++ {
		fmt.Printf("line %d\n", n)
		_, err := fmt.Fprintf(log, "line %d\n", n)
		must(err)
		select {
		case <-usr1:
			if mode == "reopen" {
				must(log.Close())
				log = open()
			}
		case <-tick.C:
		case <-terminate:
			return
		}
	}
}
