package redis

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
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// How long vigil may take, on a machine that does other things too.
const (
	mostVerdict = 90 * time.Second // two limits more are granted to one that is starved
	mostEnd     = 70 * time.Second // more than stop_timeout of the example
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
	v.cmd = exec.Command("vigil", append(append([]string{"up"}, v.flags...), s.file("redis.toml"))...)
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
		v.t.Logf("events:\n%s", v.try("events"))
		v.t.Logf("status:\n%s", v.try("status"))
	}
	if err := v.cmd.Process.Signal(unix.SIGTERM); err != nil {
		v.t.Errorf("cannot send TERM to vigil: %v", err)
	}
	late := time.NewTimer(mostEnd)
	defer late.Stop()
	select {
	case err := <-v.ended:
		if err != nil {
			v.t.Errorf("vigil ended with %v", err)
		}
	case <-late.C:
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
	for _, pid := range v.server.probes() {
		v.t.Errorf("process %d of a probe is left", pid)
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

func (v *vigil) read(to any, args ...string) error {
	out, complaint, err := v.command(args...)
	if err != nil {
		return fmt.Errorf("%w: %s", err, complaint)
	}
	return json.Unmarshal(out, to)
}

// status waits until the service is as it should be.
func (v *vigil) status(what string, good func(control.Service) error) control.Service {
	v.t.Helper()
	var last control.Service
	eventually(v.t, mostVerdict, what, func() error {
		var list []control.Service
		if err := v.read(&list, "status", "--json"); err != nil {
			return err
		}
		if len(list) != 1 {
			return fmt.Errorf("%d services", len(list))
		}
		last = list[0]
		return good(last)
	})
	return last
}

// running waits for an instance that is ready, and whose signs are all known and
// healthy.
func (v *vigil) running(instance uint64) control.Service {
	v.t.Helper()
	return v.status(fmt.Sprintf("instance %d", instance), func(s control.Service) error {
		if s.State != "running" || !s.Ready || s.Instance != instance {
			return fmt.Errorf("it is %s, ready %v, instance %d", s.State, s.Ready, s.Instance)
		}
		for _, sign := range s.Signs {
			if sign.State != "healthy" || strings.Contains(sign.Text, "not seen yet") || strings.Contains(sign.Text, "no answer yet") {
				return fmt.Errorf("%s is %s: %s", sign.Name, sign.State, sign.Text)
			}
		}
		return nil
	})
}

// incidents waits for so many that are closed, newest first.
func (v *vigil) incidents(n int) []snapshot.Incident {
	v.t.Helper()
	var list []snapshot.Incident
	eventually(v.t, mostVerdict, fmt.Sprintf("%d incidents", n), func() error {
		list = nil
		if err := v.read(&list, "incidents", "list", "--json"); err != nil {
			return err
		}
		var closed []snapshot.Incident
		for _, i := range list {
			if i.Status != snapshot.StatusPending && i.Status != snapshot.StatusWriting && i.Cause != snapshot.CauseStall {
				closed = append(closed, i)
			}
		}
		if list = closed; len(list) != n {
			return fmt.Errorf("%d", len(list))
		}
		return nil
	})
	return list
}

// events are all so far.
func (v *vigil) events() []control.Event {
	v.t.Helper()
	out, complaint, err := v.command("events", "--json")
	if err != nil {
		v.t.Fatalf("%v: %s", err, complaint)
	}
	var all []control.Event
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var e control.Event
		if err := d.Decode(&e); err != nil {
			v.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// supervisor is the process that asks the probes.
func (v *vigil) supervisor() int {
	v.t.Helper()
	pid, err := v.findSupervisor()
	if err != nil {
		v.t.Fatal(err)
	}
	return pid
}

func (v *vigil) findSupervisor() (int, error) {
	c, err := client.Dial(filepath.Join(v.flags[1], control.SocketName))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), mostReply)
	defer cancel()
	i, err := c.Instance(ctx)
	return i.Supervisor, err
}
