// Package early takes a request to end that comes to pid 1 before main does.
// The initialisation of packages and the command line take some 10 ms, in which
// TERM would end a Go program with status 2. It imports next to nothing: a
// package is initialised as soon as those that it imports are.
package early

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// signals holds the first one; nil when this process will not be a keeper as
// pid 1. Any other may just end.
var signals = take(os.Getpid(), os.Args)

func take(pid int, args []string) chan os.Signal {
	if pid != 1 || !slices.ContainsFunc(args, func(a string) bool { return a == "run" || a == "up" }) {
		return nil
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGINT)
	return c
}

// HandOver ends the early taking and posts what has come to c, which takes
// signals by now. It does not block: a full c has more than enough.
func HandOver(c chan<- os.Signal) {
	if signals == nil {
		return
	}
	signal.Stop(signals)
	select {
	case s := <-signals:
		select {
		case c <- s:
		default:
		}
	default:
	}
}
