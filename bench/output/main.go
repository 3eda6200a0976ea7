// Command output measures how fast the output of a service reaches its log
// file: numbered lines of 100 bytes, written by a child to a pipe, through
// supervisor/logs in a process of its own, without and with patterns that are
// looked for; and beside it, in the same run and on the same disk, through cat
// and whichever of svlogd, s6-log and supervisord are installed. The files are
// read back: a line that is missing is lost, one that is not as it was written
// is torn. The figures mean something only next to each other.
//
//	go run ./bench/output [-bytes 1000000000] [-rounds 3] [-dir DIR]
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// The variables that tell a copy of this program which part it plays.
const (
	envBytes    = "BENCH_OUTPUT_BYTES"    // the service: how much to write
	envUsage    = "BENCH_OUTPUT_USAGE"    // and where to write what it has used
	envLog      = "BENCH_OUTPUT_LOG"      // vigil's side: the directory of the log
	envPatterns = "BENCH_OUTPUT_PATTERNS" // and that it is looked through
)

func main() {
	switch {
	case os.Getenv(envBytes) != "":
		exit(flood(os.Getenv(envBytes), os.Getenv(envUsage)))
	case os.Getenv(envLog) != "":
		exit(capture(os.Getenv(envLog)))
	}
	size := flag.Int64("bytes", 1_000_000_000, "how much the child writes; whole lines of 100 bytes")
	rounds := flag.Int("rounds", 3, "measurements of each; the median counts")
	dir := flag.String("dir", "", "where the logs are written (default: a temporary directory)")
	flag.Parse()
	exit(run(*size/lineSize*lineSize, *rounds, *dir))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "output:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// result is one measurement.
type result struct {
	time           time.Duration
	writer, logger time.Duration // of processors
	dropped        int64         // told by vigil
	check
}

func run(size int64, rounds int, base string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program: %w", err)
	}
	all := ways(self)
	results := make([][]result, len(all))
	for range max(rounds, 1) {
		for i, w := range all { // interleaved, so that a busy moment hits all
			r, err := once(w, self, size, base)
			if err != nil {
				return fmt.Errorf("cannot measure %s: %w", w.name, err)
			}
			results[i] = append(results[i], r)
		}
	}
	report(all, results, size, rounds)
	return nil
}

func once(w way, self string, size int64, base string) (result, error) {
	dir, err := os.MkdirTemp(base, "vigil-bench-output-")
	if err != nil {
		return result{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	usage := dir + "/usage"
	service := exec.Command(self)
	service.Env = []string{envBytes + "=" + strconv.FormatInt(size, 10), envUsage + "=" + usage}
	service.Stderr = os.Stderr
	begin := time.Now()
	used, dropped, err := w.run(dir, service, size)
	r := result{time: time.Since(begin), dropped: dropped}
	if err != nil {
		return r, err
	}
	if r.writer, err = readUsage(usage); err != nil {
		return r, err
	}
	r.logger = used
	if w.both {
		r.logger -= r.writer
	}
	r.check, err = verify(dir, w.files, size)
	return r, err
}

func report(all []way, results [][]result, size int64, rounds int) {
	fmt.Printf("%d MB in lines of 100 bytes, median of %d; seconds are of processors\n\n", size/1_000_000, rounds)
	fmt.Printf("%-22s %8s %8s %8s %14s %8s %8s %8s\n", "way", "MB/s", "writer s", "logger s", "time / vigil", "lost", "torn", "dropped")
	var first time.Duration
	for i, w := range all {
		rs := results[i]
		slices.SortFunc(rs, func(a, b result) int { return int(a.time - b.time) })
		m := rs[len(rs)/2]
		if i == 0 {
			first = m.time
		}
		var lost, torn, dropped int64
		for _, r := range rs {
			lost, torn, dropped = lost+r.lost, torn+r.torn, dropped+r.dropped
		}
		fmt.Printf("%-22s %8.0f %8.2f %8.2f %14.2f %8d %8d %8d\n", w.name, float64(size)/1e6/m.time.Seconds(), m.writer.Seconds(), m.logger.Seconds(),
			m.time.Seconds()/first.Seconds(), lost, torn, dropped)
	}
	for _, name := range absent() {
		fmt.Printf("%-22s is not installed\n", name)
	}
	fmt.Println("\nlost, torn: lines of all rounds; dropped: bytes that vigil itself tells of, once the disk\nwas slower for longer than its buffer and its patience last.")
}

// processors is what a process that was waited for, and the children it has
// waited for, have used.
func processors(c *exec.Cmd) time.Duration {
	return c.ProcessState.UserTime() + c.ProcessState.SystemTime()
}

// join runs service | sink, waits for both, and returns what sink used.
func join(service, sink *exec.Cmd) (time.Duration, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	// The keeper makes its pipes so. The others get the same; a pipe of the
	// default size would only flatter vigil.
	_, _ = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, pipeSize)
	sink.Stdin, service.Stdout = r, w
	if err := sink.Start(); err != nil {
		_, _ = r.Close(), w.Close()
		return 0, err
	}
	_ = r.Close()
	err = service.Run()
	_ = w.Close()
	err = errors.Join(err, sink.Wait())
	return processors(sink), err
}
