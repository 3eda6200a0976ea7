package heartbeat

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/heartbeat/clienttest"
	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// The whole way: vigil gives the page, one activity wedges, the verdict names it,
// and the next instance is well.
func TestVigilNamesTheWedged(t *testing.T) {
	clienttest.Sources(t, "../..")
	binaries := t.TempDir()
	build(t, "go", "build", "-o", binaries, "../../cmd/vigil", "../../cmd/vigil-capture")
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			control := filepath.Join(t.TempDir(), "control")
			if err := syscall.Mkfifo(control, 0o600); err != nil {
				t.Fatal(err)
			}
			// For reading too, so that the order waits for its reader and not we.
			orders, err := os.OpenFile(control, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = orders.Close() }()

			out := up(t, binaries, configuration(t, l, control))
			out.await(t, `housekeeper: running`)
			if _, err := orders.WriteString("wedge flusher\n"); err != nil {
				t.Fatal(err)
			}
			who := `process \d+`
			if l.threads {
				who = `thread \d+, comm .[\w.]+.`
			}
			if l.comms {
				who = `thread \d+, comm .flusher.`
			}
			out.await(t, "hang: activity `flusher` \\("+who+`\) busy, silent for .* of 500ms; 3 others fine`)
			out.await(t, `housekeeper: running`)
		})
	}
}

// configuration is that of vigil.toml, with the command of a language.
func configuration(t *testing.T, l language, control string) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, word := range append(l.build(t, t.TempDir()), "reader=5000", "indexer=5000", "flusher=500", "sweeper") {
		words = append(words, fmt.Sprintf("%q", word))
	}
	return fmt.Sprintf(`
[service.housekeeper]
command = [%s]
directory = %q
environment = { CONTROL = %q, PYTHONPATH = "../../heartbeat/python" }
ready = { notify = %v }
heartbeat = { activities = 4 }
`, strings.Join(words, ", "), here, control, l.notifies)
}

// output is what `vigil up` tells, line by line.
type output struct {
	lines chan string
	all   strings.Builder // what await has read
}

// up starts vigil, and stops it at the end of the test.
func up(t *testing.T, binaries, configuration string) *output {
	t.Helper()
	dir, err := os.MkdirTemp("", "vigil-heartbeat-") // short: there will be sockets
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "vigil.toml")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(binaries, "vigil"), "up", "--name", filepath.Base(dir), file)
	cmd.Env = append(wire.Scrub(os.Environ()), "VIGIL_RUNTIME_DIR="+filepath.Join(dir, "run"), "VIGIL_STATE_DIR="+filepath.Join(dir, "state"))
	told, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := &output{lines: make(chan string, 1000)}
	go func() {
		defer close(o.lines)
		for scan := bufio.NewScanner(told); scan.Scan(); {
			select {
			case o.lines <- scan.Text():
			default: // far more than it tells
			}
		}
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if !o.drained() {
			t.Error("vigil does not stop: killed")
			_ = cmd.Process.Kill()
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("vigil: %v", err)
		}
		if t.Failed() {
			t.Logf("vigil told:\n%s", o.all.String())
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return o
}

// await waits for a line in which a regular expression is found.
func (o *output) await(t *testing.T, expression string) {
	t.Helper()
	want := regexp.MustCompile(expression)
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case line, ok := <-o.lines:
			if !ok {
				t.Fatalf("vigil ended and did not tell %s", expression)
			}
			fmt.Fprintln(&o.all, line)
			if want.MatchString(line) {
				return
			}
		case <-late.C:
			t.Fatalf("vigil does not tell %s", expression)
		}
	}
}

// drained reads to the end, which is that of vigil, and says whether it came.
func (o *output) drained() bool {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case line, ok := <-o.lines:
			if !ok {
				return true
			}
			fmt.Fprintln(&o.all, line)
		case <-late.C:
			return false
		}
	}
}
