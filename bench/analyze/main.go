// Command analyze measures what the reading of a Go core costs, by the number of
// goroutines: time and peak memory of `vigil-capture analyze`. Beside it, for the
// same process in the same run, stands what there is without it: `dlv core` with
// `goroutines -t` where dlv(1) is installed, and the time that the process needs
// to print its own stacks at SIGQUIT. The ratios count; they survive another
// machine.
//
//	go run ./bench/analyze [-goroutines 10,1000,10000] [-rounds 3] [-delve 10000]
//
// It has to be run inside the module, since it builds both programs from it.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
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
	sizes := flag.String("goroutines", "10,1000,10000", "numbers of goroutines of the target; 100000 takes minutes for its SIGQUIT")
	rounds := flag.Int("rounds", 3, "readings of each core; the median counts")
	delve := flag.Int("delve", 10_000, "most goroutines for which dlv is run")
	flag.Parse()
	if err := run(*sizes, max(*rounds, 1), *delve); err != nil {
		fmt.Fprintln(os.Stderr, "analyze:", err)
		os.Exit(1)
	}
}

// bench is the place and the programs of a run.
type bench struct {
	dir, helper, target, dlv string
	rounds, most             int
}

func run(sizes string, rounds, most int) error {
	dir, err := os.MkdirTemp("", "vigil-bench-analyze-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := bench{dir: dir, helper: filepath.Join(dir, "vigil-capture"), target: filepath.Join(dir, "target"), rounds: rounds, most: most}
	for path, pkg := range map[string]string{b.helper: "cmd/vigil-capture", b.target: "snapshot/capture/testdata/target"} {
		if out, err := exec.Command("go", "build", "-o", path, module+pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build %s: %w: %s", pkg, err, out)
		}
	}
	b.dlv, _ = exec.LookPath("dlv")
	fmt.Printf("%10s %10s %8s %10s %8s %10s %8s %8s\n", "goroutines", "analysis", "RSS", "dlv core", "RSS", "SIGQUIT", "anal/dlv", "anal/SQ")
	for field := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 0 {
			return fmt.Errorf("cannot read -goroutines: %q is no number", field)
		}
		if err := b.row(n); err != nil {
			return fmt.Errorf("cannot measure %d goroutines: %w", n, err)
		}
	}
	fmt.Println("\nanalysis: of the core, stacks, variables and locks, from start to end of the helper, at nice 10.\nRSS: its peak. SIGQUIT: until the process has printed all and is gone.")
	if b.dlv == "" {
		fmt.Println("dlv is not installed: no figures of it.")
	}
	return nil
}

// cost is what one command took.
type cost struct {
	time time.Duration
	rss  int64 // bytes
}

func (b bench) row(n int) error {
	target, stderr, err := b.start(n)
	if err != nil {
		return err
	}
	defer end(target)
	dir, err := os.MkdirTemp(b.dir, "incident-")
	if err != nil {
		return err
	}
	if out, err := exec.Command(b.helper, "freeze", "--pid", strconv.Itoa(target.Process.Pid), "--dir", dir, "--budget", "60s").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot freeze: %w: %s", err, out)
	}
	quit, err := dump(target, stderr, n)
	if err != nil {
		return err
	}
	var list []cost
	for range b.rounds {
		c, err := b.analyse(dir, n)
		if err != nil {
			return err
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b cost) int { return int(a.time - b.time) })
	ours := list[len(list)/2]
	other, ratio := "-", "-"
	rss := "-"
	if b.dlv != "" && n <= b.most {
		c, err := measure(b.delve(dir))
		if err != nil {
			return fmt.Errorf("cannot run dlv: %w", err)
		}
		other, rss, ratio = round(c.time), fmt.Sprintf("%d MB", c.rss>>20), fmt.Sprintf("%.3f", ours.time.Seconds()/c.time.Seconds())
	}
	fmt.Printf("%10d %10s %5d MB %10s %8s %10s %8s %8.3f\n", n, round(ours.time), ours.rss>>20, other, rss, round(quit), ratio, ours.time.Seconds()/quit.Seconds())
	return os.RemoveAll(dir)
}

func round(d time.Duration) string { return d.Round(time.Millisecond).String() }

// analyse reads the core once, and checks that all goroutines are there.
func (b bench) analyse(dir string, n int) (cost, error) {
	kept := filepath.Join(dir, snapshot.FileCapture)
	report, err := os.ReadFile(kept)
	if err != nil {
		return cost{}, err
	}
	c, err := measure(exec.Command(b.helper, "analyze", "--dir", dir, "--keep-core"))
	if err != nil {
		return c, err
	}
	var s snapshot.Stacks
	data, err := os.ReadFile(filepath.Join(dir, snapshot.FileStacks))
	if err := errors.Join(err, json.Unmarshal(data, &s)); err != nil {
		return c, err
	}
	if s.Unwound < n {
		return c, fmt.Errorf("only %d goroutines were read", s.Unwound)
	}
	return c, os.WriteFile(kept, report, 0o600) // for the next reading
}

// delve is the command that prints every stack of the core.
func (b bench) delve(dir string) *exec.Cmd {
	cmd := exec.Command(b.dlv, "core", b.target, filepath.Join(dir, snapshot.FileCore), "--allow-non-terminal-interactive=true")
	cmd.Stdin = strings.NewReader("goroutines -t\nexit\n")
	cmd.Env = append(os.Environ(), "HOME="+b.dir)
	return cmd
}

func measure(cmd *exec.Cmd) (cost, error) {
	var errs strings.Builder
	cmd.Stderr = &errs
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%w: %.300s", err, errs.String())
	}
	c := cost{time: time.Since(begin)}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.rss = usage.Maxrss << 10 // KiB, getrusage(2)
	}
	return c, nil
}

// start runs a target until it says that all its goroutines are there.
func (b bench) start(n int) (*exec.Cmd, io.Reader, error) {
	cmd := exec.Command(b.target)
	cmd.Env = []string{"TARGET_IDLE=" + strconv.Itoa(n), "GOTRACEBACK=all"}
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

// dump has a target print its own stacks, which ends it.
func dump(cmd *exec.Cmd, stderr io.Reader, n int) (time.Duration, error) {
	begin := time.Now()
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		return 0, fmt.Errorf("cannot send SIGQUIT: %w", err)
	}
	found := 0
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "goroutine ") {
			found++
		}
	}
	_ = cmd.Wait() // it ends with status 2, by the signal
	took := time.Since(begin)
	if found < n {
		return 0, fmt.Errorf("its own traceback has only %d goroutines", found)
	}
	return took, nil
}

// end kills and reaps; it may be called twice.
func end(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
