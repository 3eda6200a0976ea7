package proctask

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// patience bounds a wait for what happens at once when it works.
const patience = 20 * time.Second

// The test binary plays a program whose first thread ends before the others.
func init() {
	if os.Getenv("PROCTASK_ROLE") != "" {
		runtime.LockOSThread() // main stays on the first thread
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("PROCTASK_ROLE") != "" {
		fmt.Println("ok")
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
	}
	goleak.VerifyTestMain(m)
}

// threads is a program that does what its input says, a line at a time, and
// answers each line. Its threads sleep unless they are told something, which
// those of a Go program do not.
const threads = `
import queue, sys, threading
told, done = {}, queue.Queue()
def run(q):
    while (name := q.get()) is not None:
        if name:
            with open(f"/proc/self/task/{threading.get_native_id()}/comm", "w") as f:
                f.write(name)
        done.put(0)
for line in sys.stdin:
    verb, name, *rest = line.rstrip("\n").split(" ")
    if verb == "begin":
        told[name] = queue.Queue()
        threading.Thread(target=run, args=(told[name],), daemon=True).start()
        told[name].put(name)
    elif verb == "wake":
        told[name].put("")
    elif verb == "rename":
        told[rest[0]] = told[name]
        told[name].put(rest[0])
    elif verb == "end":
        told[name].put(None)
        done.put(0)
    done.get()
    print("ok", flush=True)
`

type program struct {
	t   *testing.T
	cmd *exec.Cmd
	in  interface{ Write([]byte) (int, error) }
	out *bufio.Reader
	end func()
}

// start starts the program of threads.
func start(t *testing.T) *program {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("this test needs a program whose threads do only what they are told: as root, run scripts/install-test-deps.sh (%v)", err)
	}
	return run(t, exec.Command(python, "-IS", "-c", threads))
}

func run(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, cmd: cmd, in: in, out: bufio.NewReader(out)}
	p.end = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(p.end)
	return p
}

func (p *program) tell(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		p.t.Fatal(err)
	}
	p.hear()
}

func (p *program) hear() {
	p.t.Helper()
	if line, err := p.out.ReadString('\n'); err != nil || line != "ok\n" {
		p.t.Fatalf("the program says %q, %v", line, err)
	}
}

func (p *program) scanner() *Scanner {
	p.t.Helper()
	s, err := Open(p.cmd.Process.Pid)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = s.Close() })
	return s
}

func match(t *testing.T, text string) func(string) bool {
	t.Helper()
	p, err := ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p.Match
}

func scan(t *testing.T, s *Scanner, w Want) Scan {
	t.Helper()
	got, err := s.Scan(w)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func comms(s Scan) []string {
	var names []string
	for _, task := range s.Tasks {
		names = append(names, task.Comm)
	}
	slices.Sort(names)
	return names
}

func find(t *testing.T, s Scan, comm string) Task {
	t.Helper()
	for _, task := range s.Tasks {
		if task.Comm == comm {
			return task
		}
	}
	t.Fatalf("no thread %q in %+v", comm, s.Tasks)
	return Task{}
}

// eventually looks until what happened shows: the end of a thread and the
// falling asleep of one tell nobody.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("waited %s in vain for %s", patience, what)
		}
	}
}

// Both ways of counting: schedstat, and status where that is missing.
func ways(t *testing.T, test func(t *testing.T, p *program, s *Scanner)) {
	for _, schedule := range []bool{true, false} {
		t.Run(fmt.Sprintf("schedstat=%v", schedule), func(t *testing.T) {
			if schedule && !tellsSwitches() {
				t.Skip("this kernel has no schedstat")
			}
			p := start(t)
			s := p.scanner()
			s.schedule = schedule
			test(t, p, s)
		})
	}
}

func TestScanSeesThreadsMoveAndEnd(t *testing.T) {
	ways(t, func(t *testing.T, p *program, s *Scanner) {
		p.tell("begin worker-1")
		p.tell("begin worker-2")
		p.tell("begin a-very-long-name")
		want := Want{Match: match(t, "worker-*|a-very*")}
		first := scan(t, s, want)
		if got := comms(first); !slices.Equal(got, []string{"a-very-long-nam", "worker-1", "worker-2"}) {
			t.Fatalf("threads %q", got)
		}
		if first.Total <= 3 || first.Left != 0 || first.Took <= 0 {
			t.Errorf("%+v", first)
		}
		one, two := find(t, first, "worker-1"), find(t, first, "worker-2")
		if one.TID == two.TID || one.Start == 0 || one.Switches == 0 {
			t.Errorf("%+v %+v", one, two)
		}
		// They fall asleep, then nothing moves them.
		eventually(t, "the threads to sleep", func() bool {
			before := scan(t, s, want)
			one, two := find(t, before, "worker-1"), find(t, before, "worker-2")
			now := scan(t, s, want)
			sleeps := func(now, before Task) bool {
				return now.State == 'S' && before.State == 'S' && now.Same(before) && !now.Moved(before)
			}
			return sleeps(find(t, now, "worker-1"), one) && sleeps(find(t, now, "worker-2"), two)
		})
		before := scan(t, s, want)
		one, two = find(t, before, "worker-1"), find(t, before, "worker-2")
		p.tell("wake worker-1")
		now := scan(t, s, want)
		if !find(t, now, "worker-1").Moved(one) || find(t, now, "worker-2").Moved(two) {
			t.Errorf("one of two was woken; before %+v, now %+v", []Task{one, two}, now.Tasks)
		}
		p.tell("end worker-1")
		eventually(t, "worker-1 to be gone", func() bool {
			return slices.Equal(comms(scan(t, s, want)), []string{"a-very-long-nam", "worker-2"})
		})
	})
}

func TestScanSeesNewAndRenamedThreads(t *testing.T) {
	p := start(t)
	s := p.scanner()
	p.tell("begin idle")
	want := Want{Match: match(t, "busy-*")}
	for range young + 1 { // idle is no longer young
		if got := scan(t, s, want); len(got.Tasks) != 0 {
			t.Fatalf("%+v", got.Tasks)
		}
	}
	p.tell("begin busy-new") // seen at once
	if got := comms(scan(t, s, want)); !slices.Equal(got, []string{"busy-new"}) {
		t.Fatalf("%q", got)
	}
	p.tell("rename idle busy-old") // seen at once on demand
	all := want
	all.All = true
	if got := comms(scan(t, s, all)); !slices.Equal(got, []string{"busy-new", "busy-old"}) {
		t.Fatalf("%q", got)
	}
	p.tell("rename busy-old idle") // and at once, for it was wanted
	if got := comms(scan(t, s, want)); !slices.Equal(got, []string{"busy-new"}) {
		t.Fatalf("%q", got)
	}
	p.tell("rename idle busy-again") // and without demand in its turn
	found := 0
	for range turns {
		found = len(scan(t, s, want).Tasks)
	}
	if found != 2 {
		t.Errorf("%d threads after %d scans", found, turns)
	}
}

// A calm scan reads little: what is listed is there.
func TestScanCalm(t *testing.T) {
	p := start(t)
	s := p.scanner()
	p.tell("begin worker-1")
	p.tell("begin worker-2")
	want := Want{Match: match(t, "worker-*"), Calm: true}
	for range young {
		scan(t, s, want)
	}
	one := find(t, scan(t, s, want), "worker-1")
	p.tell("wake worker-1") // its movement is seen at once,
	if now := find(t, scan(t, s, want), "worker-1"); !now.Moved(one) {
		t.Errorf("before %+v, now %+v", one, now)
	}
	p.tell("rename worker-1 idle") // another name within four scans,
	eventually(t, "the other name", func() bool { return slices.Equal(comms(scan(t, s, want)), []string{"worker-2"}) })
	if s.scans > young+2+calm {
		t.Errorf("it took %d scans", s.scans)
	}
	p.tell("end worker-2") // and the end at once
	end := s.scans
	eventually(t, "the end of worker-2", func() bool { return len(scan(t, s, want).Tasks) == 0 })
	t.Logf("seen after %d scans", s.scans-end)
	want.Still = true
	p.tell("begin worker-3")
	still := find(t, scan(t, s, want), "worker-3")
	if still.Switches != 0 || still.Run != 0 || still.Start == 0 {
		t.Errorf("%+v", still)
	}
}

func TestScanWithoutMatchTellsOfAll(t *testing.T) {
	p := start(t)
	s := p.scanner()
	p.tell("begin x")
	for range 20 {
		got := scan(t, s, Want{})
		if len(got.Tasks) != got.Total {
			t.Fatalf("%d of %d threads", len(got.Tasks), got.Total)
		}
		find(t, got, "x")
	}
}

func TestScanOfEndedProcess(t *testing.T) {
	p := start(t)
	s := p.scanner()
	scan(t, s, Want{})
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// A zombie has ended already, and so has what is reaped.
	eventually(t, "the end of the process", func() bool {
		_, err := s.Scan(Want{})
		return errors.Is(err, ErrEnded)
	})
	p.end()
	if _, err := s.Scan(Want{}); !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), fmt.Sprint("process ", p.cmd.Process.Pid)) {
		t.Errorf("%v", err)
	}
	if _, err := Open(p.cmd.Process.Pid); !errors.Is(err, ErrEnded) {
		t.Errorf("%v", err)
	}
}

// The process dies while it is looked at: never anything but its end.
func TestScanWhileProcessDies(t *testing.T) {
	for range 4 {
		p := start(t)
		s := p.scanner()
		for i := range 20 {
			p.tell("begin t-%d", i)
		}
		killed := make(chan struct{})
		go func() { defer close(killed); _ = p.cmd.Process.Kill() }()
		for {
			_, err := s.Scan(Want{})
			if errors.Is(err, ErrEnded) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		<-killed
		p.end()
	}
}

// Threads come and go while it is looked at; one that stays is in each scan.
func TestScanMissesNoThreadAmongMany(t *testing.T) {
	p := start(t)
	s := p.scanner()
	for i := range 30 {
		p.tell("begin pool-%d", i)
	}
	p.tell("begin last")
	want := Want{Match: match(t, "last")}
	scan(t, s, want)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 30 {
			p.tell("end pool-%d", i)
		}
	}()
	for {
		find(t, scan(t, s, want), "last")
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestScanAfterTheFirstThread(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"PROCTASK_ROLE=leader", "GORACE=atexit_sleep_ms=0"}
	p := run(t, cmd)
	p.hear()
	s := p.scanner()
	leader := func() bool {
		return slices.ContainsFunc(scan(t, s, Want{}).Tasks, func(task Task) bool { return task.TID == p.cmd.Process.Pid })
	}
	if !leader() {
		t.Error("the first thread is not told of while it lives")
	}
	if _, err := p.in.Write([]byte{'x'}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first thread to end", func() bool { return !leader() })
	if got := scan(t, s, Want{}); len(got.Tasks) == 0 || got.Total != len(got.Tasks)+1 {
		t.Errorf("%+v", got)
	}
}

func TestScanSaysWhatItLeavesOut(t *testing.T) {
	p := start(t)
	for i := range 5 {
		p.tell("begin t-%d", i)
	}
	s := p.scanner()
	s.most = 3
	if got := scan(t, s, Want{}); len(got.Tasks) != 3 || got.Left != got.Total-3 || got.Left < 3 {
		t.Errorf("%+v", got)
	}
}

func TestOpenFailsPlainly(t *testing.T) {
	if _, err := Open(-1); !errors.Is(err, ErrEnded) || err.Error() != "cannot open the threads of process -1: the process has ended" {
		t.Errorf("%v", err)
	}
}

func BenchmarkScan(b *testing.B) {
	s, err := Open(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Scan(Want{}); err != nil {
			b.Fatal(err)
		}
	}
}
