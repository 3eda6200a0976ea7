package zookeeper

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// jvm is a server that nobody supervises.
type jvm struct {
	*server
	t     *testing.T
	cmd   *exec.Cmd
	ended chan error
	said  bytes.Buffer // read only after ended
}

// alone makes a place for one server that runs without vigil.
func alone(t *testing.T) *server {
	t.Helper()
	s := newServer(t)
	s.configure(t, "")
	return s
}

// three makes places for an ensemble.
func three(t *testing.T) []*server {
	t.Helper()
	var all []*server
	peers := "initLimit=10\nsyncLimit=5\n"
	for n := 1; n <= 3; n++ {
		all = append(all, newServer(t))
		_, peer := split(t, freeAddress(t))
		_, election := split(t, freeAddress(t))
		peers += fmt.Sprintf("server.%d=127.0.0.1:%s:%s\n", n, peer, election)
	}
	for i, s := range all {
		s.configure(t, peers)
		if err := os.WriteFile(filepath.Join(s.dir, "data", "myid"), []byte(fmt.Sprintln(i+1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func (s *server) configure(t *testing.T, more string) {
	t.Helper()
	_, port := split(t, s.address)
	data := filepath.Join(s.dir, "data")
	text := fmt.Sprintf("tickTime=1000\ndataDir=%s\nclientPort=%s\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n%s", data, port, more)
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "zoo.cfg"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run starts a server with options of its JVM, and ends it with the test.
func (s *server) run(t *testing.T, options ...string) *jvm {
	t.Helper()
	j := &jvm{server: s, t: t, ended: make(chan error, 1)}
	args := append(options, "-cp", "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar",
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", filepath.Join(s.dir, "zoo.cfg"))
	j.cmd = exec.Command("/usr/bin/java", args...)
	j.cmd.Stdout, j.cmd.Stderr = &j.said, &j.said
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { j.ended <- j.cmd.Wait() }()
	t.Cleanup(j.kill)
	return j
}

func (j *jvm) pid() int { return j.cmd.Process.Pid }

// kill ends the server at once.
func (j *jvm) kill() {
	if j.ended == nil {
		return
	}
	_ = j.cmd.Process.Signal(unix.SIGKILL)
	select {
	case <-j.ended:
	case <-time.After(mostEnd):
		j.t.Errorf("process %d had not ended %s after KILL", j.pid(), mostEnd)
		return
	}
	j.ended = nil
	forgetAttach(j.pid())
	if j.t.Failed() {
		j.t.Logf("server %s said:\n%s", j.address, lastLines(&j.said, 10))
	}
}

func lastLines(b *bytes.Buffer, n int) []byte {
	lines := bytes.SplitAfter(b.Bytes(), []byte{'\n'})
	return bytes.Join(lines[max(0, len(lines)-n):], nil)
}
