package keeper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// The test binary plays all parts: the keeper under test, a supervisor that
// hands its socket to the test and then only waits to be told how to end.
const (
	roleKeeper     = "keeper-under-test"
	roleSupervisor = "supervisor-under-test"
	exitRunning    = 3
	exitLeak       = 99
	patience       = 30 * time.Second // for what should take milliseconds
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == roleKeeper {
		os.Exit(playKeeper(os.Args[2], os.Args[3]))
	}
	if len(os.Args) == 3 && os.Args[1] == roleSupervisor {
		os.Exit(playSupervisor(os.Args[2]))
	}
	// Services of a keeper that is killed become ours, not pid 1's: their ends
	// can be seen, and held back.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// What a test says to its keeper beside: vigil-capture, and how long a
// supervisor may be silent.
const (
	helperEnv  = "KEEPER_TEST_HELPER"
	silenceEnv = "KEEPER_TEST_SILENCE"
)

func silence() time.Duration {
	d, err := time.ParseDuration(os.Getenv(silenceEnv))
	if err != nil {
		return 0
	}
	return d
}

func playKeeper(name, dir string) int {
	code, err := Run(Options{
		Name: name, RuntimeDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"),
		Supervisor: []string{roleSupervisor, dir}, Version: "test", CaptureHelper: os.Getenv(helperEnv), BeatTimeout: silence(), bounds: testBounds(),
	})
	var r *Running
	if errors.As(err, &r) {
		fmt.Println(r.PID)
		return exitRunning
	}
	if err == nil {
		// The intake lives as long as the process.
		err = goleak.Find(goleak.IgnoreAnyFunction("github.com/vigil-supervisor/vigil/signals/intake.(*Intake).read"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitLeak
	}
	return code
}

// boundsEnv has the bounds of a reload, as JSON of testedBounds.
const boundsEnv = "VIGIL_KEEPER_TEST_BOUNDS"

// testedBounds are bounds with names that can be encoded.
type testedBounds struct{ Candidate, Retire, Takeover, Gap, Probation time.Duration }

// setBounds changes some bounds for the keepers of this test; 0: the usual.
func setBounds(t *testing.T, b testedBounds) {
	t.Helper()
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(boundsEnv, string(text))
}

func testBounds() bounds {
	b := usualBounds
	var t testedBounds
	if json.Unmarshal([]byte(os.Getenv(boundsEnv)), &t) != nil {
		return b
	}
	for _, one := range []struct {
		at   *time.Duration
		want time.Duration
	}{{&b.candidate, t.Candidate}, {&b.retire, t.Retire}, {&b.takeover, t.Takeover}, {&b.gap, t.Gap}, {&b.probation, t.Probation}} {
		if one.want > 0 {
			*one.at = one.want
		}
	}
	return b
}

func playSupervisor(dir string) int {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, "s")})
	if err != nil {
		return 98
	}
	_, _, err = c.WriteMsgUnix([]byte(strconv.Itoa(os.Getpid())), unix.UnixRights(protocol.SocketFD), nil)
	if err != nil {
		return 98
	}
	unix.Close(protocol.SocketFD)
	status := make([]byte, 1)
	if _, err := io.ReadFull(c, status); err != nil {
		return 0
	}
	return int(status[0])
}

// rig is one keeper.
type rig struct {
	t    *testing.T
	name string
	dir  string
	cmd  *exec.Cmd
	ln   *net.UnixListener
	out  *os.File      // what the keepers say
	over chan struct{} // closed when the keeper has ended
	now  *super        // the newest supervisor
	ours []int         // services that the test reaps once their keeper is dead
	// others are candidates, to be closed after the keeper.
	others []*super
}

// newRig starts a keeper, as another user if uid is not 0, and sees to it that
// nothing of it is left at the end.
func newRig(t *testing.T, uid uint32) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "vigil-keeper-")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, name: fmt.Sprintf("t%d-%d", os.Getpid(), time.Now().UnixNano()), dir: dir}
	for _, d := range []string{"run", "state"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if r.out, err = os.OpenFile(filepath.Join(dir, "said"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		t.Fatal(err)
	}
	r.ln, err = net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, "s")})
	if err != nil {
		t.Fatal(err)
	}
	if uid != 0 {
		for _, p := range []string{"", "run", "state", "s"} {
			if err := os.Chown(filepath.Join(dir, p), int(uid), int(uid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(r.cleanUp)
	r.launch(uid)
	return r
}

// launch starts a keeper of the rig's name.
func (r *rig) launch(uid uint32) {
	r.t.Helper()
	r.over = make(chan struct{})
	r.cmd = exec.Command("/proc/self/exe", roleKeeper, r.name, r.dir)
	r.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // else each end takes a second with -race
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if uid != 0 {
		r.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, over chan struct{}) { _ = cmd.Wait(); close(over) }(r.cmd, r.over)
}

// cleanUp ends a keeper that the test has not ended, and looks for leftovers.
func (r *rig) cleanUp() {
	select {
	case <-r.over:
	default:
		if r.now != nil && !r.t.Failed() {
			r.end(0)
		}
		_ = r.cmd.Process.Kill()
	}
	select {
	case <-r.over:
	case <-time.After(patience):
		r.t.Errorf("the keeper does not end")
		return
	}
	if code := r.cmd.ProcessState.ExitCode(); code == exitLeak && !r.t.Failed() {
		r.t.Error("the keeper ended with leaked goroutines or an error")
	}
	for _, pid := range r.processes() {
		r.t.Errorf("pid %d is left", pid)
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	r.noCgroups()
	r.ln.Close()
	for _, s := range append(r.others, r.now) {
		if s != nil {
			s.close()
		}
	}
	text := r.said()
	r.out.Close()
	os.RemoveAll(r.dir)
	if r.t.Failed() {
		r.t.Logf("the keeper said:\n%s", text)
	}
}

// said is what the keepers have written.
func (r *rig) said() string {
	b, _ := os.ReadFile(r.out.Name())
	return string(b)
}

func (r *rig) noCgroups() {
	base, err := cgroup.Find()
	if err != nil {
		return
	}
	left, _ := filepath.Glob(filepath.Join(base.Path(), "vigil-"+r.name+".*"))
	for _, dir := range left {
		r.t.Errorf("cgroup %s is left", dir)
		inner, _ := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
		for _, f := range inner {
			_ = os.Remove(filepath.Dir(f))
		}
		_ = os.Remove(dir)
	}
}

// processes are all that carry the mark of this keeper, zombies apart.
func (r *rig) processes() (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		env, err := os.ReadFile(filepath.Join(d, "environ"))
		if err == nil && bytes.Contains(env, []byte(markName+"="+r.name+"/")) {
			pid, _ := strconv.Atoi(filepath.Base(d))
			pids = append(pids, pid)
		}
	}
	return pids
}

// end quits over the newest supervisor and expects the keeper's status.
func (r *rig) end(status int) {
	r.t.Helper()
	r.now.ok(protocol.TQuit, protocol.Quit{Status: status})
	r.now.exit(0)
	r.wait(status)
}

func (r *rig) wait(status int) {
	r.t.Helper()
	select {
	case <-r.over:
		if got := r.cmd.ProcessState.ExitCode(); got != status {
			r.t.Errorf("the keeper ended with %d, want %d", got, status)
		}
	case <-time.After(patience):
		r.t.Fatal("the keeper does not end")
	}
}

// super is one supervisor, played by the test.
type super struct {
	t      *testing.T
	pid    int
	ctl    *net.UnixConn // tells the process how to end
	own    int           // its socket, once more
	conn   *protocol.Conn
	in     chan protocol.Message // closed at the end of the stream
	once   sync.Once
	epoch  uint64
	nextID uint64
	events []told
}

type told struct {
	protocol.Event
	files []int
}

// accept takes the next supervisor that the keeper starts.
func (r *rig) accept() (*super, error) {
	if err := r.ln.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	c, err := r.ln.AcceptUnix()
	if err != nil {
		return nil, err
	}
	b, oob := make([]byte, 16), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		c.Close()
		return nil, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(msgs) != 1 {
		c.Close()
		return nil, fmt.Errorf("no socket came: %v", err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil {
		c.Close()
		return nil, err
	}
	s := &super{t: r.t, ctl: c, in: make(chan protocol.Message, 1024)}
	s.pid, _ = strconv.Atoi(string(b[:n]))
	if s.own, err = unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		c.Close()
		return nil, err
	}
	s.conn, err = protocol.NewConn(os.NewFile(uintptr(fds[0]), "keeper"))
	if err != nil {
		c.Close()
		return nil, err
	}
	go func() {
		defer close(s.in)
		for {
			m, err := s.conn.Receive()
			if err != nil {
				return
			}
			s.in <- m
		}
	}()
	return s, nil
}

func (r *rig) next() *super {
	r.t.Helper()
	s, err := r.accept()
	if err != nil {
		r.t.Fatalf("no supervisor came: %v", err)
	}
	if r.now != nil {
		r.now.close()
	}
	r.now = s
	return s
}

// charge is a supervisor in charge, after hello, recover and ready.
func (r *rig) charge() (*super, recovery) {
	r.t.Helper()
	s := r.next()
	s.hello()
	rec := s.recover()
	s.send(protocol.TReady, nil)
	return s, rec
}

func (s *super) close() {
	s.once.Do(func() {
		s.conn.Close()
		unix.Close(s.own)
		s.ctl.Close()
		for m := range s.in {
			m.CloseFiles()
		}
	})
	for _, e := range s.events {
		protocol.Message{Files: e.files}.CloseFiles()
	}
	s.events = nil
}

// exit lets the process end with status, and its socket with it.
func (s *super) exit(status byte) {
	s.silence()
	s.die(status)
}

// die lets the process end; what it has said may still come.
func (s *super) die(status byte) { _, _ = s.ctl.Write([]byte{status}) }

// silence ends what it says.
func (s *super) silence() { _ = unix.Shutdown(s.own, unix.SHUT_WR) }

// crash is kill -9.
func (s *super) crash() {
	s.t.Helper()
	s.silence()
	if err := unix.Kill(s.pid, unix.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
}

func (s *super) sendFiles(typ protocol.Type, body any, files ...int) uint64 {
	s.t.Helper()
	s.nextID++
	m, err := protocol.Make(typ, s.nextID, s.epoch, body)
	if err != nil {
		s.t.Fatal(err)
	}
	m.Files = files
	if err := s.conn.Send(m); err != nil {
		s.t.Fatal(err)
	}
	return s.nextID
}

func (s *super) send(typ protocol.Type, body any) uint64 { s.t.Helper(); return s.sendFiles(typ, body) }

func (s *super) receive() protocol.Message {
	s.t.Helper()
	select {
	case m, ok := <-s.in:
		if !ok {
			s.t.Fatal("the keeper closed the connection")
		}
		return m
	case <-time.After(patience):
		s.t.Fatal("the keeper does not answer")
	}
	return protocol.Message{}
}

// answer waits for the answer to a request, and keeps events for later.
func (s *super) answer(id uint64) protocol.Message {
	s.t.Helper()
	for {
		m := s.receive()
		if m.Type == protocol.TEvent {
			s.keep(m)
			continue
		}
		if m.ID != id {
			s.t.Fatalf("answer %s to %d, want one to %d", m.Type, m.ID, id)
		}
		return m
	}
}

func (s *super) keep(m protocol.Message) {
	s.t.Helper()
	var e protocol.Event
	into(s.t, m, &e)
	s.events = append(s.events, told{e, m.Files})
}

// event waits for the next event of a kind. Those before it are an error unless
// they are allowed.
func (s *super) event(kind protocol.EventKind, allowed ...protocol.EventKind) told {
	s.t.Helper()
	for {
		for len(s.events) > 0 {
			e := s.events[0]
			s.events = s.events[1:]
			s.t.Cleanup(func() { protocol.Message{Files: e.files}.CloseFiles() })
			if e.Kind == kind {
				return e
			}
			if !slices.Contains(allowed, e.Kind) {
				s.t.Fatalf("event %s of %s#%d before %s", e.Kind, e.Key, e.Inst, kind)
			}
		}
		m := s.receive()
		if m.Type != protocol.TEvent {
			s.t.Fatalf("got %s, want event %s", m.Type, kind)
		}
		s.keep(m)
	}
}

func into(t *testing.T, m protocol.Message, v any) {
	t.Helper()
	if err := m.Into(v); err != nil {
		t.Fatal(err)
	}
}

func (s *super) reply(typ protocol.Type, body any, files ...int) (r protocol.Reply) {
	s.t.Helper()
	m := s.answer(s.sendFiles(typ, body, files...))
	if m.Type != protocol.TReply {
		s.t.Fatalf("%s was answered by %s", typ, m.Type)
	}
	into(s.t, m, &r)
	return r
}

func (s *super) ok(typ protocol.Type, body any, files ...int) {
	s.t.Helper()
	if r := s.reply(typ, body, files...); r.Error != "" {
		s.t.Fatalf("%s: %+v", typ, r)
	}
}

func (s *super) hello() (w protocol.Welcome) {
	s.t.Helper()
	m := s.answer(s.send(protocol.THello, protocol.Hello{Protocol: protocol.Version, Version: "test", PID: s.pid}))
	if m.Type != protocol.TWelcome {
		s.t.Fatalf("hello was answered by %s %s", m.Type, m.Body)
	}
	into(s.t, m, &w)
	s.epoch = w.Epoch
	return w
}

type recovery struct {
	children map[string]protocol.Child
	childFDs map[string][]int
	files    map[string]int
	notes    map[string]string
}

func (s *super) recover() recovery {
	s.t.Helper()
	r := recovery{map[string]protocol.Child{}, map[string][]int{}, map[string]int{}, map[string]string{}}
	id := s.send(protocol.TRecover, nil)
	for {
		m := s.answer(id)
		s.t.Cleanup(m.CloseFiles)
		switch m.Type {
		case protocol.TChild:
			var c protocol.Child
			into(s.t, m, &c)
			id := protocol.ID(c.Key, c.Started.Instance)
			r.children[id], r.childFDs[id] = c, m.Files
		case protocol.TFile:
			var n protocol.Name
			into(s.t, m, &n)
			r.files[n.Name] = m.Files[0]
		case protocol.TNote:
			var n protocol.Note
			into(s.t, m, &n)
			r.notes[n.Key] = string(n.Text)
		case protocol.TRecovered:
			return r
		}
	}
}

// shell is a service that runs a script.
func shell(key string, script string) protocol.Start {
	return protocol.Start{
		Key: key, Instance: 1, Path: "/bin/sh", Args: []string{"sh", "-c", script},
		Env: []string{"PATH=" + os.Getenv("PATH")}, Output: protocol.OutputPipe,
	}
}

// running is a service that was started.
type running struct {
	protocol.Started
	id       string
	pidfd    int
	out, err *os.File
}

func (s *super) start(st protocol.Start, files ...int) running {
	s.t.Helper()
	st.Passed = len(files)
	m := s.answer(s.sendFiles(protocol.TStart, st, files...))
	if m.Type != protocol.TStarted {
		s.t.Fatalf("start was answered by %s %s", m.Type, m.Body)
	}
	c := running{id: protocol.ID(st.Key, st.Instance)}
	into(s.t, m, &c.Started)
	if len(m.Files) != 3 {
		s.t.Fatalf("started with %d descriptors", len(m.Files))
	}
	c.pidfd, c.out, c.err = m.Files[0], os.NewFile(uintptr(m.Files[1]), "out"), os.NewFile(uintptr(m.Files[2]), "err")
	s.t.Cleanup(func() { unix.Close(c.pidfd); c.out.Close(); c.err.Close() })
	return c
}

// line reads one line of the service's stdout.
func (c running) line(t *testing.T) string {
	t.Helper()
	return readLine(t, c.out)
}

func readLine(t *testing.T, f io.Reader) string {
	t.Helper()
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := f.Read(b); err != nil {
			t.Fatalf("output ended after %q: %v", line, err)
		}
		if b[0] == '\n' {
			return strings.TrimSpace(string(line))
		}
		line = append(line, b[0])
	}
}

// killed ends a child and waits for its two events.
func (s *super) killed(id string) {
	s.t.Helper()
	s.ok(protocol.TKill, protocol.Kill{ID: id})
	s.event(protocol.EventExited)
	s.event(protocol.EventEmpty)
	s.ok(protocol.TRelease, protocol.Name{Name: id})
}

// lives reports whether pid is a process, zombies apart.
func lives(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))[0]
	return state != "Z" && state != "X"
}
