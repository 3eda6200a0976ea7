package intake

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/signals"
)

// patience bounds every process of a test.
const patience = 2 * time.Minute

// process is the test binary under test.
type process struct {
	t     *testing.T
	pid   int
	in    io.WriteCloser
	out   *json.Decoder
	queue []signals.Record // read while waiting for an answer
}

// command is this program in a role, ended with the test.
func command(t testing.TB, role string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// run starts cmd by start and waits until it is ready. At the end of the test
// it must end well, when its input ends: no signal may have killed it.
func run(t *testing.T, cmd *exec.Cmd, start func() error) *process {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, pid: cmd.Process.Pid, in: in, out: json.NewDecoder(bufio.NewReader(out))}
	t.Cleanup(func() {
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the process under test ended with %v", err)
		}
	})
	if s := p.next(); len(s.Lines) != 1 || s.Lines[0] != "ready" {
		t.Fatalf("it says %+v", s)
	}
	return p
}

func startRole(t *testing.T, role string) *process {
	t.Helper()
	cmd := command(t, role)
	return run(t, cmd, cmd.Start)
}

func (p *process) next() said {
	p.t.Helper()
	var s said
	if err := p.out.Decode(&s); err != nil {
		p.t.Fatalf("the process under test says nothing more: %v", err)
	}
	return s
}

func (p *process) record() signals.Record {
	p.t.Helper()
	if len(p.queue) > 0 {
		r := p.queue[0]
		p.queue = p.queue[1:]
		return r
	}
	s := p.next()
	if s.Record == nil {
		p.t.Fatalf("it says %+v", s)
	}
	return *s.Record
}

func (p *process) ask(word string) []string {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, word); err != nil {
		p.t.Fatal(err)
	}
	for {
		s := p.next()
		if s.Record == nil {
			return s.Lines
		}
		p.queue = append(p.queue, *s.Record)
	}
}

func (p *process) kill(sig syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.pid, sig); err != nil {
		p.t.Fatal(err)
	}
}

// comm is our own name as the kernel keeps it.
func comm(t *testing.T) string {
	b, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(b), "\n")
}

// expect wants one delivery, by us.
func (p *process) expect(sig syscall.Signal) {
	p.t.Helper()
	r := p.record()
	parent, _, _ := whoIs(os.Getppid())
	want := signals.Sender{PID: os.Getpid(), UID: os.Getuid(), Command: comm(p.t), Parent: os.Getppid(), ParentCommand: parent}
	if r.Signal != sig || r.Code != signals.CodeUser || r.Sender != want || r.Count != 1 || r.Unnamed != 0 {
		p.t.Fatalf("recorded %+v; want one %s from %+v", r, signals.Name(sig), want)
	}
	if age := time.Since(r.Wall); age < 0 || age > patience || r.Boot <= 0 {
		p.t.Fatalf("recorded at %v, boot %v", r.Wall, r.Boot)
	}
}

func TestEverySignalComesWithItsSender(t *testing.T) {
	p := startRole(t, "receive")
	for _, sig := range taken {
		p.kill(sig)
		p.expect(sig)
	}
	wantEmpty(t, p.ask("exec"))
	wantEmpty(t, p.ask("spawn"))
}

func wantEmpty(t *testing.T, lines []string) {
	t.Helper()
	if len(lines) == 0 || len(lines)%2 != 0 {
		t.Errorf("masks of a child: %q", lines)
	}
	for _, line := range lines {
		_, text, _ := strings.Cut(line, " ")
		mask, err := strconv.ParseUint(text, 16, 64)
		if err != nil || mask&^libcSignals != 0 {
			t.Errorf("masks of a child: %q", lines)
		}
	}
}

// libcSignals are 32 and 33, which glibc keeps for itself: its posix_spawn, by
// which make(1) starts us, leaves them ignored.
const libcSignals = 1<<31 | 1<<32

// Each is sent after the one before was seen, so the kernel merges nothing and
// nothing may be missing. INTAKE_SIGNALS says how many, 20000 for a thorough run.
func TestNothingIsLostUnderLoad(t *testing.T) {
	n := 2000
	if s, err := strconv.Atoi(os.Getenv("INTAKE_SIGNALS")); err == nil {
		n = s
	} else if testing.Short() {
		n = 200
	}
	p := startRole(t, "load")
	for i := range n {
		p.kill(syscall.SIGHUP)
		if r := p.record(); r.Signal != syscall.SIGHUP || r.Count != 1 || r.Sender.PID != os.Getpid() || r.Unnamed != 0 {
			t.Fatalf("signal %d is recorded as %+v", i, r)
		}
	}
}

func TestFloodFromSixSenders(t *testing.T) {
	p := startRole(t, "load")
	sigs := []syscall.Signal{syscall.SIGHUP, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2}
	want := map[int]syscall.Signal{}
	done := make(chan error, len(sigs))
	for _, sig := range sigs {
		cmd := command(t, "send", strconv.Itoa(p.pid), strconv.Itoa(int(sig)), "3000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		want[cmd.Process.Pid] = sig
		go func() { done <- cmd.Wait() }()
	}
	finished := make(chan error, 1)
	go func() {
		for range sigs {
			if err := <-done; err != nil {
				finished <- err
			}
		}
		finished <- syscall.Kill(p.pid, marker)
	}()
	count := map[syscall.Signal]int{}
	for {
		r := p.record()
		if r.Signal == marker {
			break
		}
		count[r.Signal] += r.Count
		if sig, ok := want[r.Sender.PID]; r.Unnamed < r.Count && ok {
			if sig != r.Signal {
				t.Errorf("recorded %+v; that sender sends %s", r, signals.Name(sig))
			}
		} else if r.Unnamed < r.Count {
			t.Errorf("recorded %+v from nobody of ours", r)
		}
	}
	if err := <-finished; err != nil {
		t.Error(err)
	}
	for _, sig := range sigs {
		if count[sig] == 0 {
			t.Errorf("no %s is recorded", signals.Name(sig))
		}
	}
	t.Logf("recorded %v of 3000 by each sender", count)
}

func TestFullPipeIsCounted(t *testing.T) {
	out, err := command(t, "full", "big").Output()
	if err != nil {
		t.Fatal(err)
	}
	var hup, usr1, hupUnnamed, usr1Unnamed int
	if _, err := fmt.Sscan(string(out), &hup, &usr1, &hupUnnamed, &usr1Unnamed); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if hup != 10_000 || usr1 != 100 || usr1Unnamed != 100 {
		t.Errorf("recorded %d HUP and %d USR1, %d and %d without a sender", hup, usr1, hupUnnamed, usr1Unnamed)
	}
	if hupUnnamed != 10_000-8192 && hupUnnamed != 10_000-512 {
		t.Errorf("%d HUP without a sender", hupUnnamed)
	}
}

func TestSmallPipeLosesNoCount(t *testing.T) {
	out, err := command(t, "full", "small").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("HUP, USR1, and how many of them without a sender: %s", out)
}

func TestForgedSenderIsMarked(t *testing.T) {
	p := startRole(t, "receive")
	var info [recordSize]byte
	*(*int32)(unsafe.Pointer(&info[0])) = int32(syscall.SIGHUP)
	*(*int32)(unsafe.Pointer(&info[8])) = signals.CodeQueue
	*(*int32)(unsafe.Pointer(&info[16])) = 1
	*(*int32)(unsafe.Pointer(&info[20])) = 12345
	_, _, errno := unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(p.pid), uintptr(syscall.SIGHUP), uintptr(unsafe.Pointer(&info)))
	if errno != 0 {
		t.Fatal(errno)
	}
	r := p.record()
	if want := (signals.Sender{PID: 1, UID: 12345, Forged: true}); r.Sender != want || r.Code != signals.CodeQueue || r.Count != 1 {
		t.Errorf("recorded %+v; want the sender %+v", r, want)
	}
}

func TestSenderThatIsGone(t *testing.T) {
	path, err := exec.LookPath("kill")
	if err != nil {
		t.Skip(err)
	}
	p := startRole(t, "receive")
	n := 50
	if testing.Short() {
		n = 5
	}
	named := 0
	for range n {
		cmd := exec.Command(path, "-HUP", strconv.Itoa(p.pid))
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		r := p.record()
		if r.Sender.PID != cmd.Process.Pid || r.Sender.UID != os.Getuid() || r.Sender.Forged {
			t.Fatalf("recorded %+v; the sender was %d", r, cmd.Process.Pid)
		}
		if r.Sender.Command == "kill" {
			named++
		} else if r.Sender.Command != "" {
			t.Errorf("the sender is called %q", r.Sender.Command)
		}
	}
	t.Logf("%d of %d senders were known by name", named, n)
}

func TestStartedUnderNohup(t *testing.T) {
	path, err := exec.LookPath("nohup")
	if err != nil {
		t.Skip(err)
	}
	cmd := command(t, "receive")
	cmd.Path, cmd.Args = path, append([]string{"nohup"}, cmd.Args...)
	p := run(t, cmd, cmd.Start)
	p.kill(syscall.SIGHUP)
	p.expect(syscall.SIGHUP)
	wantEmpty(t, p.ask("exec"))
	wantEmpty(t, p.ask("spawn"))
}

// blocked starts cmd with these signals blocked.
func blocked(cmd *exec.Cmd) func() error {
	return func() error {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var mask, before unix.Sigset_t
		mask.Val[0] = set([]syscall.Signal{syscall.SIGHUP, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, marker})
		if err := unix.PthreadSigmask(unix.SIG_BLOCK, &mask, &before); err != nil {
			return err
		}
		defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
		return cmd.Start()
	}
}

func TestUnmaskEmptiesAnInheritedMask(t *testing.T) {
	cmd := command(t, "unmask")
	p := run(t, cmd, blocked(cmd))
	for _, sig := range taken {
		p.kill(sig)
		p.expect(sig)
	}
	wantEmpty(t, p.ask("exec"))
	wantEmpty(t, p.ask("spawn"))
	for _, line := range p.ask("threads") {
		if strings.HasPrefix(line, "SigBlk") && line != "SigBlk 0000000000000000" && line < "SigBlk 8" {
			t.Errorf("a thread has %s", line) // one that is being made blocks nearly all
		}
	}
	if env := p.ask("environ"); slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, triedVar) }) {
		t.Errorf("children would get %q", env)
	}
}

func TestBlockedSignalsComeWithoutUnmask(t *testing.T) {
	cmd := command(t, "receive")
	p := run(t, cmd, blocked(cmd))
	for range 20 {
		for _, sig := range taken {
			p.kill(sig)
			p.expect(sig)
		}
	}
	wantEmpty(t, p.ask("spawn"))
}

// BenchmarkWindow tells how long the default action of a signal applies: from
// before the fork to the first instruction of main, and to the last handler.
func BenchmarkWindow(b *testing.B) {
	var toMain, toHandler time.Duration
	for b.Loop() {
		cmd := command(b, "window")
		begin := monotonic()
		out, err := cmd.Output()
		if err != nil {
			b.Fatal(err)
		}
		var main, handler int64
		if _, err := fmt.Sscan(string(out), &main, &handler); err != nil {
			b.Fatal(err)
		}
		toMain += time.Duration(main) - begin
		toHandler += time.Duration(handler - main)
	}
	b.ReportMetric(float64(toMain.Microseconds())/float64(b.N), "us/to-main")
	b.ReportMetric(float64(toHandler.Microseconds())/float64(b.N), "us/main-to-handler")
}
