package supervisor_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/client"
	"github.com/vigil-supervisor/vigil/heartbeat"
)

// vigilPath is the real binary, built once; the test binary plays services.
const (
	roleEnv   = "SUPERVISOR_TEST_ROLE"
	binaryEnv = "SUPERVISOR_TEST_BINARY"
	flagsEnv  = "SUPERVISOR_TEST_FLAGS" // of vigil up
	patience  = 60 * time.Second        // for what should take a moment
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(play(role))
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vigil-binary-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, b := range []struct{ name, source string }{
		{"vigil", "../cmd/vigil"}, {"helper/vigil-capture", "../cmd/vigil-capture"}, {"wedge", "../examples/wedge"},
	} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, b.name), b.source).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "cannot build %s: %v\n%s", b.name, err, out)
			return 1
		}
	}
	if err := os.Setenv(binaryEnv, filepath.Join(dir, "vigil")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// play is a service. Every role ends on TERM.
func play(role string) int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	switch role {
	case "beat":
		return playBeat(term)
	case "order":
		return playOrder(term)
	case "fail":
		return 1
	case "alone":
		return playAlone(term)
	case "slow":
		fmt.Println("up")
		<-term
		touch("got-term")
		go func() { <-term; touch("second-term") }()
		waitFor("go")
	case "named":
		return playNamed(term)
	case "activities":
		return playActivities(term)
	case "threads":
		return playThreads(term)
	case "saying":
		go func() { waitFor("memory"); fmt.Println("java.lang.OutOfMemoryError: Java heap space") }()
		go func() {
			waitFor("deadlock")
			_ = os.Remove("deadlock")
			fmt.Fprintln(os.Stderr, "deadlock: everybody waits")
		}()
		<-term
	case "refreshing":
		return playRefreshing(term)
	case "pausing":
		return playPausing(term)
	case "notify":
		waitFor("rubbish")
		say(string(bytes.Repeat([]byte("x"), 64<<10)))
		say("A\x00B=\x00\nREADY\x00=1\n")
		say("no newline and no sign of equality")
		say("STATUS=rubbish sent")
		waitFor("go")
		say("READY=1")
		<-term
	case "hog":
		say("READY=1")
		waitFor("go")
		_ = os.Remove("go")
		for all := [][]byte{}; ; {
			block := make([]byte, 1<<20)
			for i := 0; i < len(block); i += 4096 {
				block[i] = 1
			}
			all = append(all, block)
		}
	case "secretive":
		say("READY=1\nSTATUS=connected with token: hunterhunter")
		fmt.Println(`{"msg":"login","password":"hunterhunter"}`)
		fmt.Println("Authorization: token hunterhunter")
		fmt.Println("postgres://me:hunterhunter@db/shop")
		fmt.Println("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nhunterhunter\n-----END RSA PRIVATE KEY-----")
		fmt.Println("all is said")
		waitFor("go")
		return 3
	case "unheard":
		waitFor("go")
		err := tell(os.Getenv("NOTIFY_SOCKET"), "READY=1")
		_ = os.WriteFile("told", fmt.Append(nil, err), 0o600)
		<-term
	case "trigger":
		say("READY=1\nWATCHDOG=1")
		waitFor("go")
		_ = os.Remove("go")
		say("WATCHDOG=trigger")
		<-term
	case "write":
		tick := time.NewTicker(10 * time.Millisecond)
		for n := 0; ; n++ {
			fmt.Printf("line %d\n", n)
			select {
			case <-term:
				return 0
			case <-tick.C:
			}
		}
	}
	return 0
}

// playNamed beats, and has an activity that beats except while there is a file
// "hold".
func playNamed(term <-chan os.Signal) int {
	say("READY=1")
	tick := time.NewTicker(20 * time.Millisecond)
	for {
		say("WATCHDOG=1")
		if _, err := os.Stat("hold"); err != nil {
			say("X_VIGIL_BEAT=flusher")
		}
		select {
		case <-term:
			return 0
		case <-tick.C:
		}
	}
}

// playPausing beats, by the name of an activity too, except while there is a
// file "hold".
func playPausing(term <-chan os.Signal) int {
	say("READY=1")
	tick := time.NewTicker(20 * time.Millisecond)
	for {
		if _, err := os.Stat("hold"); err != nil {
			say("WATCHDOG=1\nX_VIGIL_BEAT=flusher")
		}
		select {
		case <-term:
			return 0
		case <-tick.C:
		}
	}
}

// playActivities has two activities and a file for each that makes it wedge, and
// one that has nothing to do.
func playActivities(term <-chan os.Signal) int {
	page, err := heartbeat.Default()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var all []*heartbeat.Activity
	for _, name := range []string{"flusher", "reader", "sleeper"} {
		a, err := page.Claim(name, 500*time.Millisecond)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		all = append(all, a)
	}
	all[0].OnThread()
	say("READY=1")
	tick := time.NewTicker(10 * time.Millisecond)
	for {
		for _, a := range all[:2] {
			if _, err := os.Stat("hold"); err != nil || a == all[1] {
				a.Busy()
			}
		}
		select {
		case <-term:
			return 0
		case <-tick.C:
		}
	}
}

func init() {
	// The first thread of a program does not end with its goroutine, so it must
	// be none of the workers.
	if os.Getenv(roleEnv) == "threads" {
		runtime.LockOSThread()
	}
}

// playThreads has three named threads: two workers, of which one ends when there
// is a file "hold", and one that moves except while there is a file "still".
func playThreads(term <-chan os.Signal) int {
	named := func(name string, work func()) {
		go func() {
			runtime.LockOSThread() // a thread ends with a goroutine that is locked to it
			_ = os.WriteFile(fmt.Sprintf("/proc/self/task/%d/comm", unix.Gettid()), []byte(name), 0)
			work()
		}()
	}
	forever := make(chan struct{})
	named("worker-1", func() { <-forever })
	named("worker-2", func() { waitFor("hold") })
	named("ticker", func() {
		for {
			if _, err := os.Stat("still"); err == nil {
				<-forever
			}
			time.Sleep(10 * time.Millisecond) // what it is for: to move
		}
	})
	<-term
	return 0
}

// playRefreshing replaces a file again and again, and makes its directory,
// except while there is a file "hold".
func playRefreshing(term <-chan os.Signal) int {
	tick := time.NewTicker(50 * time.Millisecond)
	for {
		if _, err := os.Stat("hold"); err != nil {
			_ = os.Mkdir("beats", 0o700)
			touch("beats/new")
			_ = os.Rename("beats/new", "beats/alive")
		}
		select {
		case <-term:
			return 0
		case <-tick.C:
		}
	}
}

// playBeat writes numbered lines and beats.
func playBeat(term <-chan os.Signal) int {
	say("READY=1")
	tick := time.NewTicker(2 * time.Millisecond)
	for n := 1; ; n++ {
		fmt.Printf("line %d\n", n)
		if n%25 == 0 {
			say("WATCHDOG=1")
		}
		select {
		case <-term:
			fmt.Printf("last %d\n", n)
			return 0
		case <-tick.C:
		}
	}
}

func say(text string) { _ = tell(os.Getenv("NOTIFY_SOCKET"), text) }

func tell(socket, text string) error {
	c, err := net.Dial("unixgram", socket)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(text))
	return err
}

func touch(name string) { _ = os.WriteFile(name, nil, 0o600) }

func waitFor(name string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(name); err == nil {
			return
		}
		<-tick.C
	}
}

// safe is a buffer for the output of a process that still runs.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// vigil is a running `vigil up` of one service, "s".
type vigil struct {
	t    *testing.T
	dir  string
	args []string
	env  []string
	cmd  *exec.Cmd
	out  safe
	over chan struct{}
}

// up starts vigil with one service that plays role; more is TOML of the
// service. Before prepares the state directory, in a shell that becomes vigil.
func up(t *testing.T, role, more, before string) *vigil {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return upCommand(t, []string{exe}, fmt.Sprintf("environment = { %s = %q }\n%s", roleEnv, role, more), before, "")
}

// upWedge starts vigil with the example service, and with its capture helper.
func upWedge(t *testing.T, more string) *vigil {
	t.Helper()
	bin := filepath.Dir(os.Getenv(binaryEnv))
	command := []string{filepath.Join(bin, "wedge"), "-listen", "127.0.0.1:0", "-addr-file", "address"}
	return upCommand(t, command, more, "", filepath.Join(bin, "helper", "vigil-capture"))
}

func upCommand(t *testing.T, command []string, more, before, capture string) *vigil {
	t.Helper()
	dir, err := os.MkdirTemp("", "vigil-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	v := &vigil{t: t, dir: dir}
	more = strings.ReplaceAll(more, "FILE", filepath.Join(dir, "beats", "alive"))
	text := fmt.Sprintf("[service.s]\ncommand = [%s]\ndirectory = %q\n%s\n", quoted(command), dir, more)
	file := filepath.Join(dir, "vigil.toml")
	for _, d := range []string{"run", "state"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(dir)
	args := append([]string{os.Getenv(binaryEnv), "--name", name, "up"}, append(strings.Fields(os.Getenv(flagsEnv)), file)...)
	if before != "" {
		args = append([]string{"unshare", "-m", "sh", "-c", before + `; exec "$@"`, "sh"}, args...)
	}
	v.args = args
	v.env = append(os.Environ(), "VIGIL_RUNTIME_DIR="+dir+"/run", "VIGIL_STATE_DIR="+dir+"/state", "STATE="+dir+"/state", "VIGIL_CAPTURE="+capture, "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	v.launch()
	t.Cleanup(v.end)
	return v
}

// launch starts vigil, perhaps once more.
func (v *vigil) launch() {
	v.t.Helper()
	v.over = make(chan struct{})
	v.cmd = exec.Command(v.args[0], v.args[1:]...)
	v.cmd.Env = v.env
	v.cmd.Stdout, v.cmd.Stderr = &v.out, &v.out
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	v.cmd.WaitDelay = time.Second
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, over chan struct{}) { _ = cmd.Wait(); close(over) }(v.cmd, v.over)
}

func quoted(list []string) string {
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, "%q, ", s)
	}
	return b.String()
}

// end asks vigil to end, and expects that it leaves nothing.
func (v *vigil) end() {
	touch(filepath.Join(v.dir, "go"))
	var last control.Service
	if c, err := client.Dial(v.path("run", control.SocketName)); err == nil {
		if list, err := c.Services(context.Background(), nil); err == nil && len(list) == 1 {
			last = list[0]
		}
		c.Close()
	}
	_ = v.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-v.over:
	case <-time.After(patience):
		v.t.Error("vigil does not end")
		_ = v.cmd.Process.Kill()
		<-v.over
	}
	if code := v.cmd.ProcessState.ExitCode(); code != 0 {
		v.t.Errorf("vigil ended with %d", code)
	}
	if last.PID != 0 && unix.Kill(last.PID, 0) == nil {
		v.t.Errorf("pid %d of the service is left", last.PID)
		_ = unix.Kill(last.PID, unix.SIGKILL)
	}
	if last.Cgroup != "" {
		if _, err := os.Stat(filepath.Dir(last.Cgroup)); err == nil {
			v.t.Errorf("cgroup %s is left", filepath.Dir(last.Cgroup))
		}
	}
	if v.t.Failed() {
		v.t.Logf("vigil said:\n%s", v.out.String())
	}
	os.RemoveAll(v.dir)
}

func (v *vigil) path(parts ...string) string {
	return filepath.Join(append([]string{v.dir}, parts...)...)
}

// await repeats a look until it is satisfied. A supervisor that is being
// replaced does not answer for a moment.
func await[T any](v *vigil, what string, get func(context.Context, *client.Client) (T, error), ok func(T) bool) T {
	v.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	var got T
	var err error
	for {
		got, err = look(v, get)
		if err == nil && ok(got) {
			return got
		}
		select {
		case <-tick.C:
		case <-v.over:
			v.t.Fatalf("vigil ended, while waiting for: %s", what)
		case <-limit:
			v.t.Fatalf("not seen: %s; last %+v, %v", what, got, err)
		}
	}
}

func look[T any](v *vigil, get func(context.Context, *client.Client) (T, error)) (got T, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := client.Dial(v.path("run", control.SocketName))
	if err != nil {
		return got, err
	}
	defer c.Close()
	return get(ctx, c)
}

func (v *vigil) service(what string, ok func(control.Service) bool) control.Service {
	v.t.Helper()
	return await(v, what, func(ctx context.Context, c *client.Client) (control.Service, error) {
		list, err := c.Services(ctx, []string{"s"})
		if err != nil || len(list) != 1 {
			return control.Service{}, fmt.Errorf("%d services: %w", len(list), err)
		}
		return list[0], nil
	}, ok)
}

func (v *vigil) state(state string) control.Service {
	v.t.Helper()
	return v.service("state "+state, func(s control.Service) bool { return s.State == state })
}

// replace is kill -9 of the supervisor; it returns when the next one answers.
func (v *vigil) replace() {
	v.t.Helper()
	get := func(ctx context.Context, c *client.Client) (control.Instance, error) { return c.Instance(ctx) }
	old := await(v, "a supervisor", get, func(control.Instance) bool { return true })
	if err := unix.Kill(old.Supervisor, unix.SIGKILL); err != nil {
		v.t.Fatal(err)
	}
	next := await(v, "another supervisor", get, func(i control.Instance) bool { return i.Supervisor != old.Supervisor })
	if next.Epoch != old.Epoch+1 || next.KeeperPID != old.KeeperPID || next.KeeperPID != v.cmd.Process.Pid {
		v.t.Errorf("after %+v came %+v", old, next)
	}
}

func (v *vigil) ask(verb control.Verb, wait bool) {
	v.t.Helper()
	_, err := look(v, func(ctx context.Context, c *client.Client) ([]control.Result, error) {
		return c.Ask(ctx, control.Ask{Verb: verb, Services: []string{"s"}, Wait: wait})
	})
	if err != nil {
		v.t.Fatal(err)
	}
}
