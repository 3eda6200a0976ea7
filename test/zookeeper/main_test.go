package zookeeper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const (
	module   = "../.." // the root of the module, from here
	examples = module + "/examples/zookeeper"
)

// What the examples need of Debian.
var needed = []string{
	"/usr/bin/java", "/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar",
	"/usr/share/zookeeper/bin/zkServer.sh",
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

// binaries is where vigil and the agent are built.
var binaries string

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vigil-zookeeper-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot make a directory for vigil:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // the agent is read by other users
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binaries = dir
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Setenv("PATH", dir+":"+os.Getenv("PATH")); err != nil {
		fmt.Fprintln(os.Stderr, "cannot set PATH:", err)
		return 1
	}
	return m.Run()
}

// build makes both binaries. The sources are looked at first: go test takes a
// remembered result only while all that a test has looked at is the same.
func build(dir string) error {
	err := filepath.WalkDir(module, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // another test's files come and go
		}
		if name := d.Name(); path != module && (name[0] == '.' || name == "bin") {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot look at the sources: %w", err)
	}
	out, err := exec.Command("go", "build", "-o", dir, module+"/cmd/vigil", module+"/cmd/vigil-capture").CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot build vigil: %w\n%s", err, out)
	}
	return nil
}

// requireZooKeeper skips where the package is missing.
func requireZooKeeper(t *testing.T) {
	t.Helper()
	for _, file := range needed {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			t.Skipf("this test needs a real ZooKeeper, and %s is missing: as root, run scripts/install-test-deps.sh (Debian packages zookeeper and default-jre-headless)", file)
		}
	}
}

// eventually asks until there is no error any more, at most for that long.
func eventually(t *testing.T, most time.Duration, what string, ask func() error) {
	t.Helper()
	eventuallyEvery(t, 20*time.Millisecond, most, what, ask)
}

// seldom is the pause of what starts a program to ask: the processors are for
// what is tested.
const seldom = 250 * time.Millisecond

func eventuallyEvery(t *testing.T, pause, most time.Duration, what string, ask func() error) {
	t.Helper()
	end := time.NewTimer(most)
	defer end.Stop()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-end.C:
			t.Fatalf("waited %s in vain for %s: %v", most, what, err)
		case <-tick.C:
		}
	}
}
