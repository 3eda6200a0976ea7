// Command vigil-capture freezes a process, copies what it needs, and analyses
// the copy. It is a process of its own so that a bad core or a hanging kernel
// call costs nothing but itself.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the process does not exist.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/capture"
)

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitGone   = 3
)

// errUsage marks an error as the caller's.
var errUsage = errors.New("wrong usage")

const usage = `usage: vigil-capture freeze  --pid P --dir DIR [--start-ticks N] [--pidfd FD] [--budget 2s] [--progress-fd FD] [--max-core BYTES] [--core] [--output FILE]... [--dump-signal NAME] [--lethal] [--cgroup DIR] [--baseline JSON] [--binaries DIR]
       vigil-capture analyze --dir DIR [--exe PATH] [--core FILE [--pid P]] [--runtime go|native|...] [--budget 60s] [--memory BYTES] [--max-goroutines N] [--no-variables] [--binaries DIR] [--keep-core]
       vigil-capture trace   --pid P --dir DIR [--start-ticks N] [--budget 2s] [--progress-fd FD] [--max-core BYTES] [--binaries DIR]
       vigil-capture doctor
       vigil-capture version`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, usage)
		return exitUsage
	}
	var err error
	switch args[0] {
	case "freeze":
		err = freeze(args[1:])
	case "analyze":
		err = analyse(args[1:])
	case "trace":
		err = trace(args[1:])
	case "doctor":
		err = doctor(args[1:])
	case "version":
		fmt.Printf("vigil-capture %s, schema %d\n", version(), snapshot.SchemaVersion)
	case "help", "-h", "--help":
		fmt.Println(usage)
	default:
		err = fmt.Errorf("%w: no command %q\n%s", errUsage, args[0], usage)
	}
	return code(err)
}

// code reports an error and chooses the exit code.
func code(err error) int {
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "vigil-capture:", err)
		return exitUsage
	case errors.Is(err, capture.ErrGone) || errors.Is(err, capture.ErrReused):
		fmt.Fprintln(os.Stderr, "vigil-capture:", err)
		return exitGone
	}
	fmt.Fprintln(os.Stderr, "vigil-capture:", err)
	return exitFailed
}

// parse reads flags and refuses arguments.
func parse(set *flag.FlagSet, args []string) error {
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if set.NArg() > 0 {
		return fmt.Errorf("%w: unexpected argument %q", errUsage, set.Arg(0))
	}
	return nil
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
