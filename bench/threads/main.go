// Command threads measures what a look at the threads of a program costs: by
// vigil's scanner, and by reading comm, stat and status of each thread, as
// `ps -L` does.
//
//	go run ./bench/threads [-n 200] [-threads 50,1000]
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/internal/proctask"
	"github.com/vigil-supervisor/vigil/internal/rig"
)

// countVariable makes this program one with so many threads.
const countVariable = "BENCH_THREADS_COUNT"

// wanted are the threads that a rule is about; the others are a pool.
const wanted = 3

func main() {
	if n, err := strconv.Atoi(os.Getenv(countVariable)); err == nil {
		exit(program(n))
	}
	n := flag.Int("n", 200, "scans of each kind")
	sizes := flag.String("threads", "50,1000", "how many threads")
	flag.Parse()
	fmt.Printf("a scan of threads, median (99th of a hundred) of %d, milliseconds\n\n", *n)
	fmt.Printf("%8s %20s %20s %20s %20s %20s\n", "threads", "the first one", "3 wanted", "3 wanted, calm", "all wanted", "comm+stat+status")
	for word := range strings.SplitSeq(*sizes, ",") {
		size, err := strconv.Atoi(word)
		if err == nil {
			err = measure(size, *n)
		}
		if err != nil {
			exit(err)
		}
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "threads:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// program starts threads, says so, and waits for the end of its input.
func program(n int) error {
	named := make(chan error)
	for i := range n {
		go func() {
			runtime.LockOSThread()
			name := fmt.Sprintf("pool-%d", i)
			if i < wanted {
				name = fmt.Sprintf("wanted-%d", i)
			}
			named <- os.WriteFile("/proc/thread-self/comm", []byte(name), 0)
			select {}
		}()
	}
	for range n {
		if err := <-named; err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func measure(size, n int) (err error) {
	cmd := exec.Command("/proc/self/exe")
	// Threads of the Go runtime come on top: about five.
	cmd.Env = append(os.Environ(), countVariable+"="+strconv.Itoa(size-5))
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close(), cmd.Wait()) }()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return err
	}
	pattern, err := proctask.ParsePattern("wanted-*")
	if err != nil {
		return err
	}
	pid := cmd.Process.Pid
	few, all := proctask.Want{Match: pattern.Match}, proctask.Want{}
	still := proctask.Want{Match: pattern.Match, Calm: true}
	var first, some, calm, every, naive []time.Duration
	count := 0
	for range n {
		// Within one round, so that all have the same neighbours.
		s, err := proctask.Open(pid)
		if err != nil {
			return err
		}
		for _, one := range []struct {
			into *[]time.Duration
			want proctask.Want
		}{{&first, few}, {nil, few}, {nil, few}, {&some, few}, {&calm, still}, {&every, all}} {
			scan, err := s.Scan(one.want)
			if err != nil {
				return errors.Join(err, s.Close())
			}
			if one.into != nil {
				*one.into = append(*one.into, scan.Took)
			}
			count = scan.Total
		}
		if err := s.Close(); err != nil {
			return err
		}
		begin := time.Now()
		if err := readAll(pid); err != nil {
			return err
		}
		naive = append(naive, time.Since(begin))
	}
	fmt.Printf("%8d %20s %20s %20s %20s %20s\n", count, figures(first), figures(some), figures(calm), figures(every), figures(naive))
	return nil
}

func figures(d []time.Duration) string {
	return fmt.Sprintf("%.3f (%.3f)", rig.Milliseconds(rig.Median(d)), rig.Milliseconds(rig.Quantile(d, 0.99)))
}

// readAll reads what ps reads of each thread.
func readAll(pid int) error {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, task := range list {
		for _, file := range []string{"comm", "stat", "status"} {
			if _, err := os.ReadFile(filepath.Join(dir, task.Name(), file)); err != nil {
				return err
			}
		}
	}
	return nil
}
