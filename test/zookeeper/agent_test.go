package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// mostAttach bounds a command to a JVM.
const mostAttach = 15 * time.Second

// agentJar builds the agent of testdata/agent, once.
var agentJar = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp(binaries, "agent-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // for a JVM of another user
		return "", err
	}
	manifest, jar := filepath.Join(dir, "manifest"), filepath.Join(dir, "fault.jar")
	if err := os.WriteFile(manifest, []byte("Agent-Class: Fault\n"), 0o644); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"javac", "-Xlint:-options", "-d", filepath.Join(dir, "classes"), "testdata/agent/Fault.java"},
		{"jar", "--create", "--file", jar, "--manifest", manifest, "-C", filepath.Join(dir, "classes"), "."},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("cannot build the agent: %s: %w\n%s", args[0], err, out)
		}
	}
	return jar, nil
})

// requireAgent skips where there is no JDK.
func requireAgent(t *testing.T) {
	t.Helper()
	requireZooKeeper(t)
	for _, tool := range []string{"javac", "jar", "jcmd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("this test breaks threads of a running JVM, and %s is missing: as root, run scripts/install-test-deps.sh (Debian package default-jdk-headless)", tool)
		}
	}
	if _, err := agentJar(); err != nil { // now, and not when the time is taken
		t.Fatal(err)
	}
}

// fault breaks threads of a JVM; see testdata/agent/Fault.java for orders.
func fault(t *testing.T, pid int, order string) {
	t.Helper()
	if err := tryFault(pid, order); err != nil {
		t.Fatal(err)
	}
}

func tryFault(pid int, order string) error {
	jar, err := agentJar()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), mostAttach)
	defer cancel()
	out, err := exec.CommandContext(ctx, "jcmd", strconv.Itoa(pid), "JVMTI.agent_load", jar, order).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "return code: 0") {
		return fmt.Errorf("cannot do %q to process %d: %w\n%s", order, pid, errors.Join(err, ctx.Err()), out)
	}
	return nil
}

// forgetAttach removes the socket that a JVM leaves behind when it is killed.
func forgetAttach(pid int) { _ = os.Remove(fmt.Sprintf("/tmp/.java_pid%d", pid)) }
