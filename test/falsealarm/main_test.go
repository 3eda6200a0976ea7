package falsealarm

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/rig"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// patience bounds a wait for something that happens at once on an idle machine.
const patience = 30 * time.Second

// roleVariable makes the test binary a service. Whatever it does, it ends with
// its standard input.
const roleVariable = "FALSEALARM_ROLE"

func TestMain(m *testing.M) {
	rig.BurnIfAsked()
	if role, dir, ok := strings.Cut(os.Getenv(beatVariable), " "); ok {
		beat(beatRoles[role], dir)
		return
	}
	role, argument, _ := strings.Cut(os.Getenv(roleVariable), " ")
	play, ok := roles[role]
	if !ok {
		goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
			_ = os.RemoveAll(builtIn)
			os.Exit(code)
		}))
		return
	}
	in := bufio.NewReader(os.Stdin)
	fmt.Println("ready")
	if _, err := in.ReadString('\n'); err != nil {
		return // not wanted any more
	}
	go play(argument)
	_, _ = io.Copy(io.Discard, in)
}

var roles = map[string]func(argument string){
	"idle":   func(string) {},
	"spin":   spin,
	"fault":  fault,
	"timer":  timer,
	"tracer": tracer,
}

func spin(string) {
	for n := 0; ; n++ {
		spun = n
	}
}

var spun int

// fault reads one byte after the other of a file that does not fit into memory.
func fault(path string) {
	f, err := os.Open(path)
	check(err)
	info, err := f.Stat()
	check(err)
	pages, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	check(err)
	check(unix.Madvise(pages, unix.MADV_RANDOM)) // no reading ahead
	for {
		spun += int(pages[rand.IntN(len(pages))])
	}
}

// timer is a loop like that of the supervisor: it sleeps until a moment, and
// looks.
func timer(string) {
	look := watchdog.NewLooker()
	for now := clock.Boot(); ; {
		due := now + 20*time.Millisecond
		<-time.After(due - clock.Boot())
		now = clock.Boot()
		fmt.Println(watchdog.Judge(look.Look(0, "", now-due)))
	}
}

// tracer attaches to a process and lets it run.
func tracer(argument string) {
	pid, err := strconv.Atoi(argument)
	check(err)
	d, err := attach(pid)
	check(err)
	check(d.cont(0))
	fmt.Println("attached")
	select {}
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// service is a process that plays a role.
type service struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts the test binary in a role, which it takes up at begin.
func start(t *testing.T, role string, attr *syscall.SysProcAttr) *service {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	// Go interrupts its own threads by SIGURG, at which one that is traced would stop.
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
	cmd.SysProcAttr = attr
	return launch(t, cmd)
}

func launch(t *testing.T, cmd *exec.Cmd) *service {
	t.Helper()
	s := &service{t: t, cmd: cmd}
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	err3 := cmd.Start()
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	s.in, s.out = in, bufio.NewReader(out)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s.line()
	return s
}

func (s *service) pid() int { return s.cmd.Process.Pid }

func (s *service) line() string {
	s.t.Helper()
	text, err := s.out.ReadString('\n')
	if err != nil {
		s.t.Fatalf("pid %d: %q, %v", s.pid(), text, err)
	}
	return strings.TrimSpace(text)
}

func (s *service) begin() {
	s.t.Helper()
	if _, err := io.WriteString(s.in, "\n"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *service) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// await looks until the excuse has that name, "" for none, and returns it.
func await(t *testing.T, l *watchdog.Looker, pid int, cgroup, name string, words ...string) {
	t.Helper()
	var e watchdog.Excuse
	err := rig.Wait("the excuse "+name, patience, func() (bool, error) {
		e = watchdog.Judge(l.Look(pid, cgroup, 0))
		return e.Name == name, nil
	})
	if err != nil {
		t.Fatalf("%v; the last one was %s", err, e)
	}
	t.Log(e)
	for _, w := range words {
		if !strings.Contains(e.Text, w) {
			t.Errorf("%q does not say %q", e.Text, w)
		}
	}
}
