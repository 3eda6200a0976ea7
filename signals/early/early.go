// Package early takes signals before main does. The initialisation of packages
// and the command line take some 10 ms, in which TERM or HUP would end a Go
// program: the world may send them to the process that it has just started. It
// imports next to nothing: a package is initialised as soon as those that it
// imports are.
package early

import (
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/vigil-supervisor/vigil/signals/intake"
)

// Taken are the signals that a keeper receives by its own handler: those that
// ask something of vigil, and those that may be passed on to services, most of
// which would else end the process.
var Taken = taken()

func taken() []syscall.Signal {
	list := []syscall.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGALRM, syscall.SIGVTALRM, syscall.SIGIO, syscall.SIGPWR, syscall.SIGSTKFLT,
	}
	// RTMIN+1 and up; the first ones belong to C libraries, signal(7).
	for s := syscall.Signal(35); s <= 64; s++ {
		list = append(list, s)
	}
	return list
}

// early is what a process that will be a keeper has received so far; nil in any
// other, which may just end.
var early, failed = start(os.Args)

func start(args []string) (*intake.Intake, error) {
	if !keeps(args) {
		return nil, nil
	}
	if err := intake.Unmask(); err != nil {
		return nil, err
	}
	return intake.Start(Taken...)
}

// Intake returns what receives signals, from now on at the latest.
func Intake() (*intake.Intake, error) {
	if early == nil && failed == nil {
		early, failed = intake.Start(Taken...)
	}
	return early, failed
}

// keeps reports whether a command line is one of those that become a keeper:
// run and up. Options before it may have their values as arguments of their own.
func keeps(args []string) bool {
	if len(args) < 2 {
		return false
	}
	for i := 1; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "run" || a == "up":
			return !slices.ContainsFunc(args[i+1:], func(a string) bool { return a == "--help" || a == "-h" })
		case slices.Contains([]string{"--name", "--runtime-dir", "--state-dir"}, a):
			i++
		case !strings.HasPrefix(a, "-") || a == "--":
			return false
		}
	}
	return false
}
