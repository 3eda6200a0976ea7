package logrotate

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
)

// patience bounds waits for what takes a moment, on a machine that does other
// things too.
const patience = 30 * time.Second

// vigil is a running `vigil up` of the two services.
type vigil struct {
	t     *testing.T
	dir   string
	cmd   *exec.Cmd
	said  bytes.Buffer // read only after ended
	ended chan error
	over  bool
}

func up(t *testing.T) *vigil {
	t.Helper()
	if _, err := os.Stat(program); err != nil {
		t.Skipf("this test needs a real logrotate: as root, run scripts/install-test-deps.sh (%v)", err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	v := &vigil{t: t, dir: t.TempDir(), ended: make(chan error, 1)}
	for _, d := range []string{"run", "state", "own", "bin"} {
		if err := os.Mkdir(v.path(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var text strings.Builder
	for _, role := range []string{"captured", "own"} {
		fmt.Fprintf(&text, "[service.%s]\ncommand = [%q]\ndirectory = %q\nenvironment = { %s = %q }\n", role, exe, v.dir, roleEnv, role)
	}
	text.WriteString("reopen_signal = \"USR1\"\n")
	v.write("vigil.toml", text.String())
	v.cmd = exec.Command(binary, append([]string{"up"}, append(v.flags(), v.path("vigil.toml"))...)...)
	v.cmd.Stdout, v.cmd.Stderr = &v.said, &v.said
	v.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGTERM}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { v.ended <- v.cmd.Wait() }()
	t.Cleanup(v.end)
	return v
}

func (v *vigil) path(parts ...string) string {
	return filepath.Join(append([]string{v.dir}, parts...)...)
}

func (v *vigil) flags() []string {
	return []string{"--runtime-dir", v.path("run"), "--state-dir", v.path("state")}
}

func (v *vigil) write(name, text string) {
	v.t.Helper()
	if err := os.WriteFile(v.path(name), []byte(text), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// end asks vigil to end; once.
func (v *vigil) end() {
	if v.over {
		return
	}
	v.over = true
	if err := v.cmd.Process.Signal(unix.SIGTERM); err != nil {
		v.t.Errorf("cannot send TERM to vigil: %v", err)
	}
	select {
	case err := <-v.ended:
		if err != nil {
			v.t.Errorf("vigil ended with %v", err)
		}
	case <-time.After(patience):
		v.t.Error("vigil does not end")
		_ = v.cmd.Process.Kill()
		<-v.ended
	}
	if v.t.Failed() {
		v.t.Logf("vigil said:\n%s", &v.said)
	}
}

// run runs a command of vigil.
func (v *vigil) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, append(args, v.flags()...)...).CombinedOutput()
	return string(out), err
}

// pids waits until both services run.
func (v *vigil) pids() map[string]int {
	v.t.Helper()
	pids := map[string]int{}
	v.eventually("two services that run", func() error {
		out, err := v.run("status", "--json")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		var list []control.Service
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			return err
		}
		for _, s := range list {
			if s.State == "running" && s.Restarts == 0 {
				pids[s.Service] = s.PID
			}
		}
		if len(pids) != 2 {
			return fmt.Errorf("it is %s", out)
		}
		return nil
	})
	return pids
}

func (v *vigil) eventually(what string, ask func() error) {
	v.t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-end.C:
			v.t.Fatalf("waited in vain for %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// logs are the two files that are rotated.
func (v *vigil) logs() []string {
	return []string{v.path("state", "log", "captured.log"), v.path("own", "own.log")}
}

// grows waits until every log has more than it had.
func (v *vigil) grows(what string) {
	v.t.Helper()
	for _, log := range v.logs() {
		before := int64(-1)
		v.eventually(what+": "+log, func() error {
			info, err := os.Stat(log)
			if err != nil {
				return err
			}
			if before < 0 {
				before = info.Size()
			}
			if info.Size() == before {
				return fmt.Errorf("it has %d bytes", before)
			}
			return nil
		})
	}
}

// rotate runs logrotate on both logs.
func (v *vigil) rotate(options []string, script string) {
	v.t.Helper()
	stanza := strings.Join(v.logs(), " ") + " {\nrotate 9\nmissingok\ncreate\n" + strings.Join(options, "\n") +
		"\npostrotate\n" + script + "\nendscript\n}\n"
	v.write("logrotate.conf", stanza)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "-f", "-s", v.path("logrotate.state"), v.path("logrotate.conf")).CombinedOutput()
	if err != nil || len(out) > 0 {
		v.t.Errorf("logrotate: %v, and it said %q; stanza:\n%s", err, out, stanza)
	}
}

var lineOrLast = regexp.MustCompile(`^(line|last) (\d+)$`)

// complete checks that what a service wrote is in its files, from the oldest to
// the newest: every line, in order, once.
func (v *vigil) complete(log string, rotations int) {
	v.t.Helper()
	var text bytes.Buffer
	for n := rotations; n >= 0; n-- {
		text.Write(v.read(log, n))
	}
	next, last := 1, -1
	for line := range strings.Lines(text.String()) {
		m := lineOrLast.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			v.t.Fatalf("%s has the line %q", log, line)
		}
		n, _ := strconv.Atoi(m[2])
		switch {
		case m[1] == "last":
			last = n
		case n != next:
			v.t.Fatalf("%s: line %d follows line %d", log, n, next-1)
		default:
			next++
		}
	}
	if last != next-1 {
		v.t.Errorf("%s: %d lines are kept, %d were written", log, next-1, last)
	}
}

// read is one file of a log, 0 the newest.
func (v *vigil) read(log string, n int) []byte {
	v.t.Helper()
	if n == 0 {
		text, err := os.ReadFile(log)
		if err != nil {
			v.t.Fatal(err)
		}
		return text
	}
	name := fmt.Sprintf("%s.%d", log, n)
	if text, err := os.ReadFile(name); err == nil {
		return text
	}
	f, err := os.Open(name + ".gz")
	if err != nil {
		v.t.Fatalf("there is no %s: %v", name, err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		v.t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		v.t.Fatal(err)
	}
	return text
}
