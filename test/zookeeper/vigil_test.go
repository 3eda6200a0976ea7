package zookeeper

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// How long vigil may take, on a machine that does other things too.
const (
	mostReply = 15 * time.Second
	mostStop  = 20 * time.Second // stop_timeout of the examples
	mostEnd   = mostStop + 10*time.Second
)

// vigil is a running `vigil up`.
type vigil struct {
	t      *testing.T
	server *server
	flags  []string
	cmd    *exec.Cmd
	ended  chan error
	said   bytes.Buffer // read only after ended
}

// up starts vigil with the server's configuration and ends it with the test.
func up(t *testing.T, s *server) *vigil {
	t.Helper()
	v := &vigil{t: t, server: s, ended: make(chan error, 1)}
	own := t.TempDir()
	v.flags = []string{"--runtime-dir", filepath.Join(own, "run"), "--state-dir", filepath.Join(own, "state")}
	for _, dir := range []string{v.flags[1], v.flags[3]} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	v.cmd = exec.Command("vigil", append(append([]string{"up"}, v.flags...), s.config)...)
	v.cmd.Stdout, v.cmd.Stderr = &v.said, &v.said
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { v.ended <- v.cmd.Wait() }()
	t.Cleanup(v.end)
	return v
}

// end asks vigil to end and sees that nothing of the server is left.
func (v *vigil) end() {
	if v.t.Failed() {
		v.t.Logf("the last output of the server:\n%s", v.try("logs", "zookeeper"))
		v.t.Logf("status:\n%s", v.try("status"))
	}
	if err := v.cmd.Process.Signal(unix.SIGTERM); err != nil {
		v.t.Errorf("cannot send TERM to vigil: %v", err)
	}
	select {
	case err := <-v.ended:
		if err != nil {
			v.t.Errorf("vigil ended with %v", err)
		}
	case <-time.After(mostEnd):
		v.t.Errorf("vigil had not ended %s after TERM", mostEnd)
		_ = v.cmd.Process.Kill()
		<-v.ended
	}
	if v.t.Failed() {
		v.t.Logf("vigil said:\n%s", &v.said)
	}
	for _, pid := range v.server.processes() {
		v.t.Errorf("process %d of the server is left", pid)
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

func (v *vigil) try(args ...string) string {
	out, complaint, err := v.command(args...)
	if err != nil {
		return err.Error() + "\n" + complaint
	}
	return string(out)
}

// command runs a command of vigil, within a bound.
func (v *vigil) command(args ...string) (out []byte, complaint string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), mostEnd) // the test's own context has ended in end
	defer cancel()
	cmd := exec.CommandContext(ctx, "vigil", append(args, v.flags...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if out, err = cmd.Output(); err != nil {
		err = fmt.Errorf("vigil %s: %w", strings.Join(args, " "), err)
	}
	return out, stderr.String(), err
}

// ask runs a command of vigil that must succeed.
func (v *vigil) ask(args ...string) {
	v.t.Helper()
	if _, complaint, err := v.command(args...); err != nil {
		v.t.Fatalf("%v: %s", err, complaint)
	}
}

func (v *vigil) read(to any, args ...string) error {
	out, complaint, err := v.command(args...)
	if err != nil {
		return fmt.Errorf("%w: %s", err, complaint)
	}
	return json.Unmarshal(out, to)
}

// status waits until the service is as it should be.
func (v *vigil) status(what string, good func(control.Service) bool) control.Service {
	v.t.Helper()
	var last control.Service
	eventually(v.t, mostReply, what, func() error {
		var list []control.Service
		if err := v.read(&list, "status", "--json"); err != nil {
			return err
		}
		if len(list) != 1 {
			return fmt.Errorf("%d services", len(list))
		}
		if last = list[0]; !good(last) {
			return fmt.Errorf("it is %+v", last)
		}
		return nil
	})
	return last
}

func (v *vigil) running() control.Service {
	v.t.Helper()
	return v.status("a running service", func(s control.Service) bool { return s.State == "running" && s.PID > 0 })
}

// restarted is the service after its n-th restart.
func (v *vigil) restarted(n uint64) control.Service {
	v.t.Helper()
	return v.status(fmt.Sprintf("restart %d", n), func(s control.Service) bool {
		return s.State == "running" && s.PID > 0 && s.Restarts == n
	})
}

// incidents waits for so many that are closed, newest first.
func (v *vigil) incidents(n int) []snapshot.Incident {
	v.t.Helper()
	var list []snapshot.Incident
	eventually(v.t, mostReply, fmt.Sprintf("%d incidents", n), func() error {
		list = nil
		if err := v.read(&list, "incidents", "list", "--json"); err != nil {
			return err
		}
		if len(list) != n {
			return fmt.Errorf("there are %d", len(list))
		}
		for _, i := range list {
			if i.Status != snapshot.StatusComplete && i.Status != snapshot.StatusPartial {
				return fmt.Errorf("incident %s is %s", i.ID, i.Status)
			}
		}
		return nil
	})
	return list
}
