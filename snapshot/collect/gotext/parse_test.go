package gotext

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
)

var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gotext-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "crash")
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/crash").CombinedOutput(); err != nil {
		panic(string(out))
	}
	return m.Run()
}

// TestReal reads what a real program prints at its end.
func TestReal(t *testing.T) {
	for _, tt := range []struct {
		how, traceback      string
		kind, message       string
		signal, function    string
		goroutines, waiting int
	}{
		{"panic", "all", "panic", "assignment to entry in nil map", "", "main.main", 21, 20},
		{"panic", "single", "panic", "assignment to entry in nil map", "", "main.main", 1, 0},
		{"panic", "crash", "panic", "assignment to entry in nil map", "", "main.main", 21, 20},
		{"custom", "all", "panic", "no token ***", "", "main.main", 21, 20},
		{"nested", "all", "panic", "first", "", "main.main.func1", 21, 20},
		{"fault", "all", "panic", "runtime error: invalid memory address or nil pointer dereference", "SIGSEGV", "main.fault", 21, 20},
		{"deadlock", "all", "fatal error", "all goroutines are asleep - deadlock!", "", "main.main", 21, 20},
		{"maps", "single", "fatal error", "concurrent map ", "", "main.main.func2", 1, 0},
	} {
		t.Run(tt.how+" "+tt.traceback, func(t *testing.T) {
			cmd := exec.Command(program, tt.how)
			cmd.Env = append(os.Environ(), "GOTRACEBACK="+tt.traceback)
			text, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("it did not end badly")
			}
			s, found := Parse(text, nil)
			if !found || s.Crash == nil {
				t.Fatalf("nothing found in\n%s", text)
			}
			c := *s.Crash
			if c.Kind != tt.kind || !strings.HasPrefix(c.Message, tt.message) || c.Signal != tt.signal || c.Frame == nil || c.Frame.Function != tt.function || c.Goroutine == 0 {
				t.Errorf("%+v, frame %+v in\n%s", c, c.Frame, text)
			}
			if s.Total < tt.goroutines {
				t.Errorf("%d goroutines, want %d or more, in\n%s", s.Total, tt.goroutines, text)
			}
			waiting := 0
			for _, g := range s.Groups {
				if len(g.Frames) > 0 && g.WaitReason == "sync.Mutex.Lock" {
					for _, f := range g.Frames {
						if f.Function == "main.(*bank).pay" && f.Line > 0 && filepath.Base(f.File) == "main.go" {
							waiting += g.Count
						}
					}
				}
			}
			if waiting != tt.waiting {
				t.Errorf("%d wait for the mutex, want %d, in\n%s", waiting, tt.waiting, text)
			}
			crashed := 0
			for _, g := range s.Groups {
				if g.Crashed {
					crashed++
				}
			}
			if crashed != 1 {
				t.Errorf("%d groups have crashed", crashed)
			}
		})
	}
}

// TestQuit: what SIGQUIT has a program print, as it is kept of a service.
func TestQuit(t *testing.T) {
	cmd := exec.Command(program, "wait")
	cmd.Env = append(os.Environ(), "GOTRACEBACK=all")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatal(line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(text)) {
		kept.WriteString("2026-11-25T08:00:00.000Z err " + line)
	}
	strip := func(line string) string {
		_, rest, _ := strings.Cut(line, " ")
		_, rest, _ = strings.Cut(rest, " ")
		return rest
	}
	s, found := Parse([]byte(kept.String()), strip)
	if !found || s.Total < 22 || s.Crash == nil || s.Crash.Signal != "SIGQUIT" || s.Crash.Kind != snapshot.CrashSignal {
		t.Errorf("%d goroutines, %+v in\n%s", s.Total, s.Crash, text)
	}
	for _, g := range s.Groups {
		if g.Crashed {
			t.Errorf("it was asked, and did not crash: %+v", g)
		}
	}
}

func TestForms(t *testing.T) {
	text := "panic: x\n\ngoroutine 7 gp=0xc000002380 m=0 mp=0x5 [chan receive, 5 minutes, locked to thread]:\nmain.(*T[...]).f(0x1, {0x2, 0x3})\n\t/a b/c.go:12 +0x1d fp=0x1 sp=0x2 pc=0x3\n...additional frames elided...\ncreated by main.main in goroutine 1\n\t/a/b.go:3 +0x5\n\ngoroutine 8 [running]:\n\tgoroutine running on other thread; stack unavailable\n"
	s, found := Parse([]byte(text), nil)
	if !found || s.Total != 2 {
		t.Fatalf("%+v", s)
	}
	for _, g := range s.Groups {
		if g.Sample == 7 && (g.Frames[0].Function != "main.(*T[...]).f" || g.Frames[0].File != "/a b/c.go" && g.Frames[0].File != "/a" || g.WaitMax != 300 || g.WaitReason != "chan receive" || !g.Cut || g.CreatedBy == nil || g.CreatedBy.Line != 3) {
			t.Errorf("%+v %+v", g, g.CreatedBy)
		}
	}
	if _, found := Parse([]byte("nothing of the kind\n"), nil); found {
		t.Error("found in nothing")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("panic: x\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x10 pc=0x4]\n\ngoroutine 1 [running]:\nmain.f(0x1)\n\t/a/b.go:1 +0x5\ncreated by main.main in goroutine 2\n\t/a/b.go:9 +0x5\n"))
	f.Add([]byte("SIGQUIT: quit\nPC=0x1\n\ngoroutine 0 [idle]:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, found := Parse(text, nil)
		sum := 0
		for _, g := range s.Groups {
			sum += g.Count
			if g.Count != len(g.IDs) {
				t.Errorf("%+v", g)
			}
		}
		if sum != s.Total || found != (s.Total > 0) {
			t.Errorf("%d in groups, %d in all", sum, s.Total)
		}
	})
}
