// Command capture measures what a capture of a Go program costs, by the number
// of its goroutines: how long the program stands still, how much is copied, and
// how long and with how much memory the copy is read. Beside it, in the same run,
// stands the way that Go has by itself: SIGQUIT to an identical program, which
// prints all goroutines and dies; and gcore of gdb, for all of whose time the
// program stands still. The figures mean something only next to each other.
//
//	go run ./bench/capture [-goroutines 10,1000,10000,100000] [-memory 0,2048] [-rounds 3]
//
// It has to be run inside the module, since it builds both programs from it.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

const module = "github.com/vigil-supervisor/vigil/"

func main() {
	sizes := flag.String("goroutines", "10,1000,10000", "numbers of goroutines of the target")
	memory := flag.String("memory", "0", "MiB that the target has besides, each page of it written to")
	rounds := flag.Int("rounds", 3, "measurements of each; the median counts")
	flag.Parse()
	if err := run(*sizes, *memory, max(*rounds, 1)); err != nil {
		fmt.Fprintln(os.Stderr, "capture:", err)
		os.Exit(1)
	}
}

// programs are the paths of the built programs.
type programs struct{ dir, helper, target, gcore string }

// target is what is captured.
type target struct{ goroutines, memory int }

func numbers(name, list string) (out []int, err error) {
	for field := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 0 {
			return nil, fmt.Errorf("cannot read %s: %q is no number", name, field)
		}
		out = append(out, n)
	}
	return out, nil
}

func run(sizes, memory string, rounds int) error {
	dir, err := os.MkdirTemp("", "vigil-bench-capture-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	p := programs{dir: dir, helper: filepath.Join(dir, "vigil-capture"), target: filepath.Join(dir, "target")}
	for path, pkg := range map[string]string{p.helper: "cmd/vigil-capture", p.target: "snapshot/capture/testdata/target"} {
		if out, err := exec.Command("go", "build", "-o", path, module+pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build %s: %w: %s", pkg, err, out)
		}
	}
	goroutines, err := numbers("-goroutines", sizes)
	if err != nil {
		return err
	}
	ballast, err := numbers("-memory", memory)
	if err != nil {
		return err
	}
	if p.gcore, err = exec.LookPath("gcore"); err != nil {
		fmt.Println("gcore is not installed: no figures of it")
	}
	fmt.Printf("median of %d\n\n%10s %8s %6s %10s %10s %10s %10s %10s %10s %10s %9s %9s\n", rounds,
		"goroutines", "memory", "way", "pause", "free", "copied", "analysis", "its RSS", "SIGQUIT", "gcore", "pause/SQ", "pause/gc")
	for _, m := range ballast {
		for _, n := range goroutines {
			if err := p.row(target{n, m}, rounds); err != nil {
				return fmt.Errorf("cannot measure %d goroutines and %d MiB: %w", n, m, err)
			}
		}
	}
	fmt.Println("\npause: first stop to last release of the target, which goes on after it. free: from the start of the\nhelper until the target may be killed. analysis: of the\ncopy, from start to end of the helper, at nice 10. SIGQUIT: until the target has printed all and is gone. gcore:\nfrom start to end, for which the target stands still.")
	return nil
}

func (p programs) row(of target, rounds int) error {
	var pauses, frees, analyses, dumps, cores []time.Duration
	var sizes, memory []int64
	var way string
	for range rounds { // interleaved, so that a busy moment hits all
		c, err := p.capture(of)
		if err != nil {
			return err
		}
		d, err := p.dump(of)
		if err != nil {
			return err
		}
		g, err := p.gdb(of)
		if err != nil {
			return err
		}
		pauses, frees, analyses, dumps, cores = append(pauses, c.pause), append(frees, c.free), append(analyses, c.analysis), append(dumps, d), append(cores, g)
		sizes, memory, way = append(sizes, c.copied), append(memory, c.rss), c.way
	}
	pause, dump, core := median(pauses), median(dumps), median(cores)
	ratio := "-"
	if core > 0 {
		ratio = fmt.Sprintf("%.3f", pause.Seconds()/core.Seconds())
	}
	fmt.Printf("%10d %5d MB %6s %10s %10s %7.1f MB %10s %7.0f MB %10s %10s %9.3f %9s\n", of.goroutines, of.memory, way, round(pause), round(median(frees)),
		float64(median(sizes))/1e6, round(median(analyses)), float64(median(memory))/1e6, round(dump), round(core), pause.Seconds()/dump.Seconds(), ratio)
	return nil
}

func median[T int64 | time.Duration](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// taken is what one capture cost.
type taken struct {
	way                   string // of the ladder
	pause, free, analysis time.Duration
	copied, rss           int64 // bytes
}

func (p programs) capture(of target) (t taken, err error) {
	target, _, err := p.start(of)
	if err != nil {
		return t, err
	}
	defer end(target)
	dir, err := os.MkdirTemp(p.dir, "incident-")
	if err != nil {
		return t, err
	}
	if t.free, err = p.freeze(target.Process.Pid, dir); err != nil {
		return t, err
	}
	end(target) // it must not take time of the analysis
	analysis := exec.Command(p.helper, "analyze", "--dir", dir)
	begin := time.Now()
	out, err := analysis.CombinedOutput()
	t.analysis = time.Since(begin)
	if err != nil {
		return t, fmt.Errorf("cannot analyse: %w: %s", err, out)
	}
	// ru_maxrss is in KiB. It includes what this program had at the fork, which
	// is far less.
	if usage, ok := analysis.ProcessState.SysUsage().(*syscall.Rusage); ok {
		t.rss = usage.Maxrss << 10
	}
	var report snapshot.Capture
	var stacks snapshot.Stacks
	for name, to := range map[string]any{snapshot.FileCapture: &report, snapshot.FileStacks: &stacks} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = json.Unmarshal(data, to)
		}
		if err != nil {
			return t, fmt.Errorf("cannot read %s: %w", name, err)
		}
	}
	if len(report.Missing) > 0 || stacks.Unwound < of.goroutines {
		return t, fmt.Errorf("the capture has %d goroutines and is not whole: %q", stacks.Unwound, report.Missing)
	}
	t.pause, t.copied, t.way = report.Freeze.Pause.Duration(), report.Freeze.Bytes, report.Freeze.Method
	return t, nil
}

// freeze captures, and returns after how long the target was free.
func (p programs) freeze(pid int, dir string) (free time.Duration, err error) {
	freeze := exec.Command(p.helper, "freeze", "--pid", strconv.Itoa(pid), "--dir", dir, "--budget", "30s")
	out, err := freeze.StdoutPipe()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := freeze.Start(); err != nil {
		return 0, fmt.Errorf("cannot start the helper: %w", err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var at snapshot.Progress
		if json.Unmarshal(lines.Bytes(), &at) == nil && at.Stage == snapshot.StageReleased {
			free = time.Since(begin)
		}
	}
	if err := freeze.Wait(); err != nil || free == 0 {
		return 0, fmt.Errorf("cannot freeze: %w", err)
	}
	return free, nil
}

// dump is how long Go's own traceback takes. It is read and thrown away.
func (p programs) dump(of target) (time.Duration, error) {
	target, stderr, err := p.start(of)
	if err != nil {
		return 0, err
	}
	defer end(target)
	begin := time.Now()
	if err := target.Process.Signal(syscall.SIGQUIT); err != nil {
		return 0, fmt.Errorf("cannot send SIGQUIT: %w", err)
	}
	found := 0
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "goroutine ") {
			found++
		}
	}
	_ = target.Wait() // it ends with status 2, by the signal
	took := time.Since(begin)
	if found < of.goroutines {
		return 0, fmt.Errorf("the traceback has only %d goroutines", found)
	}
	return took, nil
}

// gdb is how long gcore takes; 0 without it.
func (p programs) gdb(of target) (time.Duration, error) {
	if p.gcore == "" {
		return 0, nil
	}
	cmd, _, err := p.start(of)
	if err != nil {
		return 0, err
	}
	defer end(cmd)
	core := filepath.Join(p.dir, "gcore")
	begin := time.Now()
	out, err := exec.Command(p.gcore, "-o", core, strconv.Itoa(cmd.Process.Pid)).CombinedOutput()
	took := time.Since(begin)
	if err != nil {
		return 0, fmt.Errorf("cannot run gcore: %w: %s", err, out)
	}
	return took, os.Remove(core + "." + strconv.Itoa(cmd.Process.Pid))
}

// start runs the target until it says that all its goroutines are there.
func (p programs) start(of target) (*exec.Cmd, io.Reader, error) {
	cmd := exec.Command(p.target)
	cmd.Env = []string{"TARGET_IDLE=" + strconv.Itoa(of.goroutines), "TARGET_BALLAST=" + strconv.Itoa(of.memory), "GOTRACEBACK=all"}
	if _, err := cmd.StdinPipe(); err != nil { // it ends at the end of its input
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	errs, err := cmd.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("cannot start the target: %w", err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		end(cmd)
		return nil, nil, fmt.Errorf("the target said %q: %w", line, err)
	}
	return cmd, errs, nil
}

// end kills and reaps; it may be called twice.
func end(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
