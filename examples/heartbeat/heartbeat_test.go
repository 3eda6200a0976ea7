// Package heartbeat holds one service in four languages; its tests build and run
// each with a page of activities and read what vigil would read.
package heartbeat

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-supervisor/vigil/heartbeat/clienttest"
	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// patience bounds a wait for something that happens at once when it works.
const patience = 60 * time.Second

// language is one of the four: how its housekeeper is built into a directory,
// and what it can and cannot do.
type language struct {
	name     string
	build    func(t *testing.T, dir string) (command []string)
	threads  bool // a slot says which thread does the work
	comms    bool // which has the name of the job in /proc
	notifies bool // by itself, or by a program that is installed
}

var languages = []language{
	{name: "go", notifies: true, build: func(t *testing.T, dir string) []string {
		program := filepath.Join(dir, "housekeeper")
		build(t, clienttest.Need(t, "go", "golang"), "build", "-o", program, "./go")
		return []string{program}
	}},
	{name: "c", notifies: true, threads: true, comms: true, build: func(t *testing.T, dir string) []string {
		program := filepath.Join(dir, "housekeeper")
		build(t, clienttest.Need(t, "gcc", "gcc"), "-std=c11", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror", "-pthread",
			"-I../../heartbeat/c", "c/housekeeper.c", "-o", program)
		return []string{program}
	}},
	{name: "python", notifies: true, threads: true, build: func(t *testing.T, _ string) []string {
		return []string{clienttest.Need(t, "python3", "python3"), "-B", "python/housekeeper.py"}
	}},
	{name: "java", threads: true, comms: true, notifies: found("systemd-notify"), build: func(t *testing.T, dir string) []string {
		javac := clienttest.Need(t, "javac", "default-jdk-headless")
		build(t, javac, "-Xlint:all,-try", "-Werror", "-d", dir, "../../heartbeat/java/vigil/Heartbeat.java", "java/Housekeeper.java")
		return []string{clienttest.Need(t, "java", "default-jdk-headless"), "-XX:TieredStopAtLevel=1", "-cp", dir, "Housekeeper"}
	}},
}

func TestHousekeepers(t *testing.T) {
	clienttest.Sources(t, ".")
	clienttest.Sources(t, "../../heartbeat")
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			command := l.build(t, t.TempDir())
			t.Run("one wedges while the others beat", func(t *testing.T) { oneWedges(t, l, command) })
			t.Run("ends in order", func(t *testing.T) { endsInOrder(t, l, command) })
			t.Run("runs unwatched", func(t *testing.T) { runsUnwatched(t, command) })
		})
	}
}

func found(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func build(t *testing.T, program string, arguments ...string) {
	t.Helper()
	cmd := exec.Command(program, arguments...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// service is a housekeeper that runs.
type service struct {
	cmd    *exec.Cmd
	orders io.WriteCloser
	lines  chan string // of its standard output; closed at its end
	stderr bytes.Buffer
	ended  bool
}

// start runs a housekeeper with the jobs of every test, and with f as
// descriptor 3 if it is not nil, until it says that it is ready.
func start(t *testing.T, command []string, f *os.File, env ...string) *service {
	t.Helper()
	s := &service{lines: make(chan string, 100)}
	s.cmd = exec.Command(command[0], append(command[1:], "reader=2000", "indexer=2500", "flusher=3000", "sweeper")...)
	s.cmd.Env = append(wire.Scrub(os.Environ()), append(env, "PYTHONPATH=../../heartbeat/python", "GORACE=atexit_sleep_ms=0")...)
	s.cmd.Stderr = &s.stderr
	if f != nil {
		s.cmd.ExtraFiles = []*os.File{f}
	}
	orders, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.orders = orders
	go func() {
		defer close(s.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			s.lines <- scan.Text()
		}
	}()
	t.Cleanup(func() {
		if !s.ended {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("standard error:\n%s", s.stderr.String())
		}
	})
	s.await(t, "ready")
	return s
}

// await waits for a line of output.
func (s *service) await(t *testing.T, want string) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				t.Fatalf("it ended and did not say %q", want)
			}
			if line == want {
				return
			}
		case <-late.C:
			t.Fatalf("it does not say %q", want)
		}
	}
}

// order gives an order and waits for what is said when it is carried out.
func (s *service) order(t *testing.T, order, answer string) {
	t.Helper()
	if _, err := io.WriteString(s.orders, order+"\n"); err != nil {
		t.Fatal(err)
	}
	s.await(t, answer)
}

// end waits for the end and checks that the status is 0.
func (s *service) end(t *testing.T) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for open := true; open; {
		select {
		case _, open = <-s.lines:
		case <-late.C:
			t.Fatal("it does not end")
		}
	}
	s.ended = true
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("%v", err)
	}
}

// until looks at the page again and again, as vigil does, until ok says yes.
func until(t *testing.T, p *clienttest.Page, what string, ok func(map[string]wire.Slot) bool) map[string]wire.Slot {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		taken, err := p.Taken()
		if err != nil {
			t.Fatal(err)
		}
		named := make(map[string]wire.Slot)
		for _, s := range taken {
			named[s.Name] = s
		}
		if len(named) != len(taken) {
			t.Fatalf("a name twice: %+v", taken)
		}
		if ok(named) {
			return named
		}
		select {
		case <-look.C:
		case <-late.C:
			t.Fatalf("not %s: %+v", what, taken)
		}
	}
}

// advanced says that each activity of names has beaten at least 50 times since.
func advanced(since map[string]wire.Slot, names ...string) func(map[string]wire.Slot) bool {
	return func(now map[string]wire.Slot) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return now[name].Beats < since[name].Beats+50 })
	}
}

func always(map[string]wire.Slot) bool { return true }

func oneWedges(t *testing.T, l language, command []string) {
	p := clienttest.NewPage(t, wire.DefaultSlots)
	s := start(t, command, p.File, "VIGIL_HEARTBEAT_FD=3")
	all := []string{"reader", "indexer", "flusher", "sweeper"}
	first := until(t, p, "all claimed", func(now map[string]wire.Slot) bool { return len(now) == len(all) })
	checkClaims(t, l, s.cmd.Process.Pid, first)
	until(t, p, "all beating", advanced(first, all...))

	s.order(t, "wedge flusher", "flusher is wedged")
	wedged := until(t, p, "", always)
	after := until(t, p, "the others beating", advanced(wedged, "reader", "indexer", "sweeper"))
	if after["flusher"] != wedged["flusher"] || after["flusher"].State != wire.Busy {
		t.Errorf("wedged: %+v, then %+v", wedged["flusher"], after["flusher"])
	}

	s.order(t, "rest reader", "reader has to rest")
	resting := until(t, p, "reader at rest", func(now map[string]wire.Slot) bool { return now["reader"].State == wire.Idle })
	after = until(t, p, "the others beating", advanced(resting, "indexer", "sweeper"))
	if after["reader"] != resting["reader"] {
		t.Errorf("at rest: %+v, then %+v", resting["reader"], after["reader"])
	}
	s.order(t, "work reader", "reader has to work")
	until(t, p, "reader back at work", advanced(after, "reader"))

	s.order(t, "leave sweeper", "sweeper has left")
	if now := until(t, p, "", always); len(now) != 3 {
		t.Errorf("after sweeper has left: %+v", now)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, p, "only the wedged one left", func(now map[string]wire.Slot) bool { return len(now) == 1 && now["flusher"].State == wire.Busy })
}

// checkClaims compares what slots say about themselves with the process.
func checkClaims(t *testing.T, l language, pid int, slots map[string]wire.Slot) {
	t.Helper()
	threads := make(map[uint32]bool)
	for name, limit := range map[string]time.Duration{"reader": 2 * time.Second, "indexer": 2500 * time.Millisecond, "flusher": 3 * time.Second, "sweeper": 0} {
		s := slots[name]
		if s.Timeout != limit || int(s.PID) != pid || s.Serial != 1 || (s.TID != 0) != l.threads {
			t.Errorf("%+v of %d", s, pid)
		}
		if !l.threads {
			continue
		}
		threads[s.TID] = true
		comm, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "task", strconv.Itoa(int(s.TID)), "comm"))
		if err != nil || l.comms && strings.TrimSpace(string(comm)) != name {
			t.Errorf("thread of %s: %q, %v", name, comm, err)
		}
	}
	if l.threads && len(threads) != 4 {
		t.Errorf("%d threads", len(threads))
	}
}

// listen takes what comes by sd_notify. Somebody must: systemd-notify(1) waits
// until the descriptor that it sends is closed.
func listen(t *testing.T) (path string, said <-chan wire.Message) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	messages := make(chan wire.Message, 100)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for b := make([]byte, 4096); ; {
			n, err := socket.Read(b)
			if err != nil {
				return
			}
			if m, err := wire.Decode(b[:n]); err == nil {
				messages <- m
			}
		}
	}()
	t.Cleanup(func() {
		_ = socket.Close()
		<-over
	})
	return path, messages
}

func awaitReady(t *testing.T, said <-chan wire.Message) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case m := <-said:
			if m.Ready {
				return
			}
		case <-late.C:
			t.Fatal("it does not say READY=1")
		}
	}
}

func endsInOrder(t *testing.T, l language, command []string) {
	p := clienttest.NewPage(t, wire.DefaultSlots)
	path, said := listen(t)
	// Orders by a FIFO this time, as under vigil.
	fifo := filepath.Join(t.TempDir(), "control")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, command, p.File, "VIGIL_HEARTBEAT_FD=3", "NOTIFY_SOCKET="+path, "CONTROL="+fifo)
	if err := os.WriteFile(fifo, []byte("rest indexer\n"), 0); err != nil {
		t.Fatal(err)
	}
	s.await(t, "indexer has to rest")
	if l.notifies {
		awaitReady(t, said)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.end(t)
	if left := until(t, p, "", always); len(left) != 0 {
		t.Errorf("left behind: %+v", left)
	}
}

func runsUnwatched(t *testing.T, command []string) {
	full := clienttest.NewPage(t, 2)
	for name, tt := range map[string]struct {
		file *os.File
		env  []string
		says string
	}{
		"without vigil": {nil, nil, ""},
		"no page":       {nil, []string{"VIGIL_HEARTBEAT_FD=99"}, "closed on the way"},
		"full":          {full.File, []string{"VIGIL_HEARTBEAT_FD=3"}, "every slot"},
	} {
		clear(full.Bytes[wire.HeaderSize:])
		s := start(t, command, tt.file, tt.env...)
		s.order(t, "rest flusher", "flusher has to rest")
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		s.end(t)
		if errors := s.stderr.String(); !strings.Contains(errors, tt.says) || tt.says == "" && errors != "" {
			t.Errorf("%s: %q", name, errors)
		}
	}
}
