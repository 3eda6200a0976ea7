// Command output measures how fast the output of a service reaches its log
// file: lines of 100 bytes, written by a child to a pipe, through
// supervisor/logs; and beside it, in the same run and on the same disk, through
// cat and whichever of svlogd and s6-log are installed. The figures mean
// something only next to each other.
//
//	go run ./bench/output [-bytes 268435456] [-rounds 3] [-dir DIR]
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/vigil-supervisor/vigil/supervisor/logs"
)

// role tells the copy of this program that plays the service how much to write.
const role = "BENCH_OUTPUT_BYTES"

func main() {
	if n := os.Getenv(role); n != "" {
		exit(flood(n))
	}
	size := flag.Int64("bytes", 256<<20, "how much the child writes")
	rounds := flag.Int("rounds", 3, "measurements of each; the median counts")
	dir := flag.String("dir", "", "where the logs are written (default: a temporary directory)")
	flag.Parse()
	exit(run(*size, *rounds, *dir))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "output:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// flood is the service: whole lines, 4,000 bytes a write, as a program with a
// buffer of a page does.
func flood(size string) error {
	var left int64
	if _, err := fmt.Sscan(size, &left); err != nil {
		return fmt.Errorf("cannot read %s: %w", role, err)
	}
	block := bytes.Repeat([]byte(fmt.Sprintf("%-99s\n", "the service writes a line of one hundred bytes")), 40)
	for left > 0 {
		n, err := os.Stdout.Write(block[:min(int64(len(block)), left)])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

// way is one path from the pipe to a file. It must have written everything
// when it returns, and returns how many bytes it dropped.
type way struct {
	name string
	run  func(dir string, service *exec.Cmd) (dropped int64, err error)
}

func ways() []way {
	all := []way{
		{"vigil", func(dir string, c *exec.Cmd) (int64, error) { return throughVigil(dir, c, 50*time.Millisecond) }},
		{"vigil, no patience", func(dir string, c *exec.Cmd) (int64, error) { return throughVigil(dir, c, 0) }},
		{"cat > file", func(dir string, c *exec.Cmd) (int64, error) { return throughFilter(dir, c, "cat") }},
	}
	if path, err := exec.LookPath("svlogd"); err == nil {
		all = append(all, way{"svlogd", func(dir string, c *exec.Cmd) (int64, error) {
			return throughLogger(dir, "s2000000000\n", c, path, dir)
		}})
	}
	if path, err := exec.LookPath("s6-log"); err == nil {
		all = append(all, way{"s6-log", func(dir string, c *exec.Cmd) (int64, error) {
			return throughLogger(dir, "", c, path, "s268435455", dir)
		}})
	}
	return all
}

func run(size int64, rounds int, base string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program: %w", err)
	}
	all := ways()
	times := make([][]time.Duration, len(all))
	drops := make([]int64, len(all))
	for range max(rounds, 1) {
		for i, w := range all { // interleaved, so that a busy moment hits all
			d, dropped, err := once(w, self, size, base)
			if err != nil {
				return fmt.Errorf("cannot measure %s: %w", w.name, err)
			}
			times[i] = append(times[i], d)
			drops[i] += dropped
		}
	}
	report(all, times, drops, size, rounds)
	return nil
}

func once(w way, self string, size int64, base string) (time.Duration, int64, error) {
	dir, err := os.MkdirTemp(base, "vigil-bench-output-")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	service := exec.Command(self)
	service.Env = []string{fmt.Sprintf("%s=%d", role, size)}
	service.Stderr = os.Stderr
	begin := time.Now()
	dropped, err := w.run(dir, service)
	return time.Since(begin), dropped, err
}

func report(all []way, times [][]time.Duration, drops []int64, size int64, rounds int) {
	median := func(d []time.Duration) time.Duration {
		slices.Sort(d)
		return d[len(d)/2]
	}
	first := median(times[0])
	fmt.Printf("%d MiB in lines of 100 bytes, median of %d\n\n", size>>20, rounds)
	fmt.Printf("%-22s %10s %10s %14s %10s\n", "way", "time", "MiB/s", "time / vigil", "dropped")
	for i, w := range all {
		m := median(times[i])
		fmt.Printf("%-22s %10s %10.0f %14.2f %9.1f%%\n", w.name, m.Round(time.Millisecond), float64(size)/(1<<20)/m.Seconds(),
			float64(m)/float64(first), 100*float64(drops[i])/float64(size)/float64(rounds))
	}
	fmt.Println("\nvigil waits 50 ms for a disk that is behind, then drops and counts; without patience it\ndrops at once. The others let the service wait for as long as it takes.")
}

func throughVigil(dir string, service *exec.Cmd, patience time.Duration) (int64, error) {
	out, err := logs.New(logs.Options{Service: "service", Directory: dir, Patience: patience})
	if err != nil {
		return 0, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	reader, err := out.Begin().Read(logs.Stdout, r)
	if err != nil {
		return 0, err
	}
	service.Stdout = w
	err = service.Run()
	_, _ = w.Close(), r.Close()
	<-reader.Done()
	err = errors.Join(err, reader.Err(), out.Close(context.Background()))
	return out.Stats().Dropped.Bytes, err
}

func throughFilter(dir string, service *exec.Cmd, name string, args ...string) (int64, error) {
	f, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	filter := exec.Command(name, args...)
	filter.Stdout = f
	return 0, join(service, filter)
}

func throughLogger(dir, config string, service *exec.Cmd, name string, args ...string) (int64, error) {
	if config != "" {
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
			return 0, err
		}
	}
	return 0, join(service, exec.Command(name, args...))
}

// join runs service | sink and waits for both.
func join(service, sink *exec.Cmd) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	sink.Stdin, service.Stdout = r, w
	if err := sink.Start(); err != nil {
		_, _ = r.Close(), w.Close()
		return err
	}
	_ = r.Close()
	err = service.Run()
	_ = w.Close()
	return errors.Join(err, sink.Wait())
}
