package reload

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	roleEnv = "RELOAD_TEST_ROLE"
	module  = "../.." // the root of the module, from here
)

// bin has the binaries, each built once: see builds.
var bin string

// change is an edit of one source file for one build.
type change struct{ file, old, new string }

// builds are the versions of vigil that the tests replace one another by.
var builds = map[string][]change{
	"one": nil,
	"two": {{"cmd/vigil/version.go", `const version = "0.1.0"`, `const version = "0.2.0"`}},
	"other-protocol": {
		{"cmd/vigil/version.go", `const version = "0.1.0"`, `const version = "9.0.0"`},
		{"keeper/protocol/doc.go", "const Version = 1", "const Version = 2"},
	},
	// It takes over, and panics.
	"crashing": {
		{"cmd/vigil/version.go", `const version = "0.1.0"`, `const version = "0.3.0"`},
		{"supervisor/supervisor.go", "\ts.startAll()\n", "\tpanic(\"as the test wants it\")\n"},
	},
}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(play(role))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vigil-reload-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	for name, changes := range builds {
		if err := build(name, changes); err != nil {
			fmt.Fprintf(os.Stderr, "cannot build vigil %q: %v\n", name, err)
			return 1
		}
	}
	return m.Run()
}

// build makes a vigil of changed sources; the sources themselves stay.
func build(name string, changes []change) error {
	root, err := filepath.Abs(module)
	if err != nil {
		return err
	}
	overlay := map[string]map[string]string{"Replace": {}}
	for n, c := range changes {
		source := filepath.Join(root, c.file)
		text, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if strings.Count(string(text), c.old) != 1 {
			return fmt.Errorf("%s does not have %q once", c.file, c.old)
		}
		changed := filepath.Join(bin, fmt.Sprintf("%s-%d.go", name, n))
		if err := os.WriteFile(changed, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o600); err != nil {
			return err
		}
		overlay["Replace"][source] = changed
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return err
	}
	file := filepath.Join(bin, name+".json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	out, err := exec.Command("go", "build", "-overlay", file, "-o", filepath.Join(bin, name), module+"/cmd/vigil").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// play is a service.
func play(role string) int {
	all := make(chan os.Signal, 8)
	signal.Notify(all, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2)
	switch role {
	case "lines":
		return playLines(all)
	case "stop": // tells by which signal it was stopped
		fmt.Println("up")
		name := (<-all).String()
		_ = os.WriteFile("stopped-by", []byte(name), 0o600)
		return 0
	case "deaf":
		fmt.Println("up")
		for {
			<-all
		}
	case "ready": // tells on descriptor 3 that it is ready, when it may
		for {
			if _, err := os.Stat("go"); err == nil {
				break
			}
			<-time.After(5 * time.Millisecond)
		}
		if _, err := os.NewFile(3, "ready").WriteString("\n"); err != nil {
			return 9
		}
		<-all
	}
	return 0
}

// playLines writes a numbered line every two milliseconds, and beats.
func playLines(stop <-chan os.Signal) int {
	beat, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err == nil {
		defer beat.Close()
		_, _ = beat.Write([]byte("READY=1"))
	}
	tick := time.NewTicker(2 * time.Millisecond)
	for n := 1; ; n++ {
		fmt.Printf("line %d\n", n)
		if n%20 == 0 && beat != nil {
			_, _ = beat.Write([]byte("WATCHDOG=1"))
		}
		select {
		case s := <-stop:
			fmt.Printf("last %d (%s)\n", n, s)
			return 0
		case <-tick.C:
		}
	}
}
