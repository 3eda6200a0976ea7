package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	java  = "/usr/bin/java"
	zkJar = "/usr/share/java/zookeeper.jar"
)

// zkServer is a real standalone server, which a test starts and ends.
type zkServer struct {
	address string
	dir     string
	cmd     *exec.Cmd
}

func placeServer(t *testing.T) *zkServer {
	t.Helper()
	for _, file := range []string{java, zkJar} {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			t.Skipf("this test needs a real ZooKeeper, and %s is missing: as root, run scripts/install-test-deps.sh", file)
		}
	}
	return &zkServer{address: closedAddress(t), dir: t.TempDir()}
}

func (s *zkServer) start(t *testing.T) {
	t.Helper()
	port := s.address[strings.LastIndexByte(s.address, ':')+1:]
	text := fmt.Sprintf("tickTime=2000\ndataDir=%s/data\nclientPort=%s\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n", s.dir, port)
	file := filepath.Join(s.dir, "zoo.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(java, "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", zkJar, "org.apache.zookeeper.server.quorum.QuorumPeerMain", file)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd := s.cmd
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // killed, maybe before
}

func (s *zkServer) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *zkServer) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// freeze stops the server, and returns when each of its threads stands: a
// signal is on its way for a while, in which the server still answers.
func (s *zkServer) freeze(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP)
	eventually(t, "all threads to stand", func() error {
		stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.cmd.Process.Pid))
		if err != nil || len(stats) == 0 {
			return fmt.Errorf("no threads: %v", err)
		}
		for _, file := range stats {
			text, err := os.ReadFile(file)
			if err == nil && !strings.Contains(string(text), ") T ") {
				return fmt.Errorf("%.60s", text)
			}
		}
		return nil
	})
}

// waits for what is closed at an event.
func waits(t *testing.T, what string, closed <-chan struct{}) {
	t.Helper()
	select {
	case <-closed:
	case <-time.After(most):
		t.Fatalf("waited %s in vain for %s", most, what)
	}
}

// comesUp waits for the first good attempt that knows the role: a server that
// starts serves sessions some moments before srvr says so.
func comesUp(t *testing.T, r Runner) Result {
	t.Helper()
	var res Result
	eventually(t, "a good canary", func() error {
		if res, _ = attempt(t, r, 2*time.Second); !res.OK || res.Role == "" {
			return errors.New(res.Text)
		}
		return nil
	})
	return res
}

func TestRealZooKeeper(t *testing.T) {
	s := placeServer(t)
	r := canary(t, s.address)
	want(t, r, most, false, 0, "connect: connection to ", " refused")
	s.start(t)
	if res := comesUp(t, r); res.Role != "standalone" {
		t.Errorf("%+v", res)
	}
	writer, reader := r.writer, r.reader
	for range 3 {
		t.Log(want(t, r, most, true, 1, "wrote and read /vigil/test/", "; standalone").Text)
	}
	if r.writer != writer || r.reader != reader {
		t.Error("the sessions were not kept")
	}

	s.freeze(t)
	for range 3 {
		began := time.Now()
		res := want(t, r, 500*time.Millisecond, false, 1, ": no answer within T; ", "; role unknown: srvr: no answer within T")
		if took := time.Since(began); took > 2*time.Second || res.Role != "" {
			t.Errorf("took %v, role %q", took, res.Role)
		}
		t.Log(res.Text)
	}
	s.signal(t, syscall.SIGCONT)
	comesUp(t, r)

	writer, reader = r.writer, r.reader
	s.kill()
	// The end of a connection arrives some time after the end of the server: an
	// attempt before that sends its demand to nobody, and then connects again.
	for _, kept := range []*session{writer, reader} {
		waits(t, "the loss of a session", kept.lost)
	}
	t.Log(want(t, r, most, false, 0, "connect: connection to ").Text)
	s.start(t)
	if res := comesUp(t, r); res.Role != "standalone" {
		t.Errorf("%+v", res)
	}
	want(t, r, most, true, 1)
}

// A server that is stopped does not hold Close up for ever.
func TestRealZooKeeperClosedWhileStopped(t *testing.T) {
	s := placeServer(t)
	r := NewZooKeeper(ZooKeeper{Address: s.address})
	s.start(t)
	comesUp(t, r)
	s.freeze(t)
	attempt(t, r, 200*time.Millisecond)
	began := time.Now()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("Close took %v", time.Since(began).Round(time.Millisecond))
}
