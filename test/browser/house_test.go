package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// most bounds what takes moments on a quiet machine.
const most = 120 * time.Second

// house is a vigil with services that have died in different ways: a Go service
// by a deadlock, a C program by a fault, a ZooKeeper by the loss of a thread.
type house struct {
	once  sync.Once
	dir   string
	flags []string
	cmd   *exec.Cmd
	ended chan error
	said  bytes.Buffer // read only after ended

	zookeeper bool                         // it is there
	incidents map[string]snapshot.Incident // by service
}

var theHouse house

const services = `
[service.wedge]
command = ["%[1]s/wedge", "-listen", "127.0.0.1:0", "-addr-file", "%[2]s/address"]
ready.notify = true
heartbeat.timeout = "4s"

[service.parser]
command = ["%[2]s/parser"]
directory = "%[2]s"
capture.trace_exit = true
`

// open makes the house with its incidents, once for all tests.
func open(t *testing.T) *house {
	t.Helper()
	theHouse.once.Do(func() { theHouse.build(t) })
	if theHouse.incidents == nil {
		t.Fatal("there is no house: see the first test")
	}
	return &theHouse
}

func (h *house) build(t *testing.T) {
	dir, err := os.MkdirTemp("", "vigil-browser-")
	if err != nil {
		t.Fatal(err)
	}
	h.dir, h.ended = dir, make(chan error, 1)
	if out, err := exec.Command("cc", "-g", "-O0", "-pthread", "-o", filepath.Join(dir, "parser"), "testdata/parser.c").CombinedOutput(); err != nil {
		t.Fatalf("cannot build the C service: %v\n%s", err, out)
	}
	config := fmt.Sprintf(services, binaries, dir)
	config += h.zookeeperService(t)
	file := filepath.Join(dir, "house.toml")
	state, runtime := filepath.Join(dir, "state"), filepath.Join(dir, "run")
	h.flags = []string{"--runtime-dir", runtime, "--state-dir", state}
	err = errors.Join(os.WriteFile(file, []byte(config), 0o644),
		os.Mkdir(state, 0o700), os.Mkdir(runtime, 0o700), os.Chmod(dir, 0o755))
	if err != nil {
		t.Fatal(err)
	}
	h.cmd = exec.Command("vigil", append(append([]string{"up"}, h.flags...), file)...)
	h.cmd.Stdout, h.cmd.Stderr = &h.said, &h.said
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { h.ended <- h.cmd.Wait() }()
	h.breakAll(t)
}

// traced waits until the C service has its permanent tracer, which sees its end.
func (h *house) traced(t *testing.T) {
	pid := h.status(t, "parser", func(s control.Service) bool { return s.PID != 0 }).PID
	eventually(t, most, "the tracer of the C service", func() error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return err
		}
		if strings.Contains(string(text), "TracerPid:\t0\n") {
			return errors.New("nobody traces it")
		}
		return nil
	})
}

// breakAll lets the services die, and waits for their incidents.
func (h *house) breakAll(t *testing.T) {
	h.status(t, "wedge", func(s control.Service) bool { return s.Ready && s.Uptime > 2 }) // so that samples have seen it well
	address, err := os.ReadFile(filepath.Join(h.dir, "address"))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.Get("http://" + strings.TrimSpace(string(address)) + "/deadlock")
	if err != nil {
		t.Fatalf("cannot make the bank deadlock: %v", err)
	}
	_ = reply.Body.Close()
	h.status(t, "parser", func(s control.Service) bool { return s.State == "running" })
	h.traced(t)
	if _, err := h.command("signal", "USR1", "parser"); err != nil {
		t.Fatal(err)
	}
	want := []string{"wedge", "parser"}
	if h.zookeeper {
		h.breakZooKeeper(t)
		want = append(want, "zookeeper")
	}
	eventually(t, most, "incidents of "+strings.Join(want, ", "), func() error {
		var list []snapshot.Incident
		if err := h.read(&list, "incidents", "list", "--json"); err != nil {
			return err
		}
		found := map[string]snapshot.Incident{}
		for _, i := range list {
			finished := i.Status == snapshot.StatusComplete || i.Status == snapshot.StatusPartial
			if finished && i.Cause != snapshot.CauseStall {
				found[i.Service] = i
			}
		}
		for _, service := range want {
			if _, ok := found[service]; !ok {
				return fmt.Errorf("there is none of %s", service)
			}
		}
		h.incidents = found
		return nil
	})
}

func (h *house) end() {
	if h.cmd != nil && h.cmd.Process != nil {
		_ = h.cmd.Process.Signal(unix.SIGTERM)
		select {
		case <-h.ended:
		case <-time.After(most):
			_ = h.cmd.Process.Kill()
			<-h.ended
			fmt.Fprintf(os.Stderr, "vigil did not end; it said:\n%s", &h.said)
		}
	}
	if h.dir != "" {
		_ = os.RemoveAll(h.dir)
	}
}

// command runs a command of vigil, within a bound.
func (h *house) command(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	cmd := exec.CommandContext(ctx, "vigil", append(args, h.flags...)...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("vigil %s: %w: %s", strings.Join(args, " "), err, &complaint)
	}
	return out, nil
}

func (h *house) read(to any, args ...string) error {
	out, err := h.command(args...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, to)
}

// status waits until a service is as it should be.
func (h *house) status(t *testing.T, service string, good func(control.Service) bool) (s control.Service) {
	t.Helper()
	eventually(t, most, "service "+service, func() error {
		select {
		case err := <-h.ended:
			h.ended <- err
			t.Fatalf("vigil ended: %v\n%s", err, &h.said)
		default:
		}
		var list []control.Service
		if err := h.read(&list, "status", service, "--json"); err != nil {
			return err
		}
		if len(list) != 1 || !good(list[0]) {
			return fmt.Errorf("it is %+v", list)
		}
		s = list[0]
		return nil
	})
	return s
}

// freePort is a port that is free now, below those that the kernel gives to
// connections.
func freePort(t *testing.T) string {
	t.Helper()
	for n := range 1000 {
		port := strconv.Itoa(10000 + (os.Getpid()*37+n)%22000)
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("there is no free port")
	return ""
}
