// Command capture measures what a capture of a Go program costs, by the number
// of its goroutines: how long the program stands still, how much is copied, and
// how long and with how much memory the copy is read. Beside it, in the same run,
// stands the way that Go has by itself: SIGQUIT to an identical program, which
// prints all goroutines and dies. The figures mean something only next to each
// other.
//
//	go run ./bench/capture [-goroutines 10,1000,10000] [-rounds 3]
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
	rounds := flag.Int("rounds", 3, "measurements of each; the median counts")
	flag.Parse()
	if err := run(*sizes, max(*rounds, 1)); err != nil {
		fmt.Fprintln(os.Stderr, "capture:", err)
		os.Exit(1)
	}
}

// programs are the paths of the built programs.
type programs struct{ dir, helper, target string }

func run(sizes string, rounds int) error {
	dir, err := os.MkdirTemp("", "vigil-bench-capture-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	p := programs{dir, filepath.Join(dir, "vigil-capture"), filepath.Join(dir, "target")}
	for path, pkg := range map[string]string{p.helper: "cmd/vigil-capture", p.target: "snapshot/capture/testdata/target"} {
		if out, err := exec.Command("go", "build", "-o", path, module+pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build %s: %w: %s", pkg, err, out)
		}
	}
	fmt.Printf("median of %d\n\n%10s %10s %10s %10s %10s %10s %9s %9s\n", rounds, "goroutines", "pause", "copied", "analysis", "its RSS", "SIGQUIT", "pause/SQ", "anal./SQ")
	for field := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 0 {
			return fmt.Errorf("cannot read -goroutines: %q is no number", field)
		}
		if err := p.row(n, rounds); err != nil {
			return fmt.Errorf("cannot measure %d goroutines: %w", n, err)
		}
	}
	fmt.Println("\npause: first stop to last release of the target, which goes on after it. analysis: of the\ncopy, from start to end of the helper, at nice 10. SIGQUIT: until the target has printed all and is gone.")
	return nil
}

func (p programs) row(goroutines, rounds int) error {
	var pauses, analyses, dumps []time.Duration
	var sizes, memory []int64
	for range rounds { // interleaved, so that a busy moment hits both
		c, err := p.capture(goroutines)
		if err != nil {
			return err
		}
		d, err := p.dump(goroutines)
		if err != nil {
			return err
		}
		pauses, analyses, dumps = append(pauses, c.pause), append(analyses, c.analysis), append(dumps, d)
		sizes, memory = append(sizes, c.copied), append(memory, c.rss)
	}
	pause, analysis, dump := median(pauses), median(analyses), median(dumps)
	fmt.Printf("%10d %10s %7.1f MB %10s %7.0f MB %10s %9.2f %9.2f\n", goroutines, round(pause), float64(median(sizes))/1e6, round(analysis),
		float64(median(memory))/1e6, round(dump), pause.Seconds()/dump.Seconds(), analysis.Seconds()/dump.Seconds())
	return nil
}

func median[T int64 | time.Duration](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// taken is what one capture cost.
type taken struct {
	pause, analysis time.Duration
	copied, rss     int64 // bytes
}

func (p programs) capture(goroutines int) (t taken, err error) {
	target, _, err := p.start(goroutines)
	if err != nil {
		return t, err
	}
	defer end(target)
	dir, err := os.MkdirTemp(p.dir, "incident-")
	if err != nil {
		return t, err
	}
	if out, err := exec.Command(p.helper, "freeze", "--pid", strconv.Itoa(target.Process.Pid), "--dir", dir, "--budget", "30s").CombinedOutput(); err != nil {
		return t, fmt.Errorf("cannot freeze: %w: %s", err, out)
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
	if len(report.Missing) > 0 || stacks.Unwound < goroutines {
		return t, fmt.Errorf("the capture has %d goroutines and is not whole: %q", stacks.Unwound, report.Missing)
	}
	t.pause, t.copied = report.Freeze.Pause.Duration(), report.Freeze.Bytes
	return t, nil
}

// dump is how long Go's own traceback takes. It is read and thrown away.
func (p programs) dump(goroutines int) (time.Duration, error) {
	target, stderr, err := p.start(goroutines)
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
	if found < goroutines {
		return 0, fmt.Errorf("the traceback has only %d goroutines", found)
	}
	return took, nil
}

// start runs the target until it says that all its goroutines are there.
func (p programs) start(goroutines int) (*exec.Cmd, io.Reader, error) {
	cmd := exec.Command(p.target)
	cmd.Env = []string{"TARGET_IDLE=" + strconv.Itoa(goroutines), "GOTRACEBACK=all"}
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
