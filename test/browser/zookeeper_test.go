package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/control"
)

const zookeeperService = `
[service.zookeeper]
command = [
    "/usr/bin/java", "-Xmx128m", "-XX:TieredStopAtLevel=1",
    "-cp", "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar",
    "org.apache.zookeeper.server.quorum.QuorumPeerMain", "%[1]s/zoo.cfg",
]
directory = "%[1]s"
runtime = "jvm"

[service.zookeeper.ready]
probe = "serving"

[[service.zookeeper.probe]]
name = "serving"
zookeeper = { address = "127.0.0.1:%[2]s", canary = "/vigil" }
period = "2s"
timeout = "10s"

[[service.zookeeper.thread]]
name = "NIOServerCxnFac"
minimum = 2
`

// zookeeperService is the configuration of a ZooKeeper, or "" where there is
// none.
func (h *house) zookeeperService(t *testing.T) string {
	t.Helper()
	for _, file := range []string{"/usr/bin/java", "/usr/bin/javac", "/usr/bin/jcmd", "/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar"} {
		if _, err := os.Stat(file); err != nil {
			t.Logf("no incident of a ZooKeeper: %s is missing: as root, run scripts/install-test-deps.sh", file)
			return ""
		}
	}
	h.zookeeper = true
	dir, port := filepath.Join(h.dir, "zookeeper"), freePort(t)
	settings := fmt.Sprintf("dataDir=%s/data\nclientPort=%s\nclientPortAddress=127.0.0.1\ntickTime=2000\nadmin.enableServer=false\n", dir, port)
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "data"), 0o755), os.WriteFile(filepath.Join(dir, "zoo.cfg"), []byte(settings), 0o644)); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(zookeeperService, dir, port)
}

// breakZooKeeper stops the thread that accepts connections, which it goes on
// without.
func (h *house) breakZooKeeper(t *testing.T) {
	t.Helper()
	s := h.status(t, "zookeeper", func(s control.Service) bool {
		for _, sign := range s.Signs {
			if sign.Kind == "thread" && strings.Contains(sign.Text, "2 threads") { // who was never seen cannot be lost
				return s.Ready
			}
		}
		return false
	})
	dir := filepath.Join(h.dir, "agent")
	manifest, jar := filepath.Join(dir, "manifest"), filepath.Join(dir, "fault.jar")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(manifest, []byte("Agent-Class: Fault\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	for _, args := range [][]string{
		{"javac", "-Xlint:-options", "-d", filepath.Join(dir, "classes"), "../zookeeper/testdata/agent/Fault.java"},
		{"jar", "--create", "--file", jar, "--manifest", manifest, "-C", filepath.Join(dir, "classes"), "."},
		{"jcmd", strconv.Itoa(s.PID), "JVMTI.agent_load", jar, "stop:NIOServerCxnFactory.AcceptThread"},
	} {
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
		if err != nil || (args[0] == "jcmd" && !strings.Contains(string(out), "return code: 0")) {
			t.Fatalf("cannot stop a thread of ZooKeeper: %s: %v\n%s", args[0], err, out)
		}
	}
}
