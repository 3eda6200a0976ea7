package falsealarm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
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

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/rig"
)

// Here the whole vigil watches a service that beats by sd_notify, and in each test
// something else than the service is to blame for a silence of some limits. No
// verdict may come of it. Then the service hangs, and that must be found.

const module = "../.." // the root of the module, from here

// silence is the limit of the service: long against its pace, since machines that
// run tests are busy.
const silence = 2 * time.Second

// watched is a service under vigil.
type watched struct {
	t      *testing.T
	sup    *rig.Supervisor
	dir    string // where it looks for orders
	status control.Service

	mu     sync.Mutex
	events []control.Event
	more   chan struct{}
}

// under starts vigil with a service that plays a role of beatRoles.
func under(t *testing.T, role string) *watched {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{t: t, dir: t.TempDir(), more: make(chan struct{}, 1)}
	configuration := fmt.Sprintf("[service.victim]\ncommand = [%q]\nenvironment = { %s = %q }\nready = { notify = true }\nheartbeat = { timeout = %q }\nstop_timeout = \"1s\"\n",
		self, beatVariable, role+" "+w.dir, silence)
	if w.sup, err = rig.Vigil(binary(t), "vigil", configuration); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(w.sup.Dir, "output"))
			t.Logf("%s", log)
		}
		if err := w.sup.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := w.sup.Running(1); err != nil {
		t.Fatal(err)
	}
	var list []control.Service
	if err := w.sup.Ask(&list, "status"); err != nil {
		t.Fatal(err)
	}
	w.status = list[0]
	w.follow()
	return w
}

// binary is vigil, built once. The sources are looked at first: go test takes a
// remembered result only while all that a test has looked at is the same.
func binary(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
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
		return "", fmt.Errorf("cannot look at the sources: %w", err)
	}
	builtIn, err = os.MkdirTemp("", "vigil-falsealarm-bin-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(builtIn, "vigil")
	if out, err := exec.Command("go", "build", "-o", path, module+"/cmd/vigil").CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build vigil: %w\n%s", err, out)
	}
	return path, nil
})

var builtIn string // removed by TestMain; empty: nothing was built

// follow reads the events until vigil ends.
func (w *watched) follow() {
	w.t.Helper()
	path := binary(w.t)
	c := exec.Command(path, "events", "--follow", "--json", "--runtime-dir", filepath.Join(w.sup.Dir, "run"), "--state-dir", filepath.Join(w.sup.Dir, "state"))
	out, err := c.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := bufio.NewScanner(out); s.Scan(); {
			var e control.Event
			if err := json.Unmarshal(s.Bytes(), &e); err != nil {
				continue
			}
			w.mu.Lock()
			w.events = append(w.events, e)
			w.mu.Unlock()
			select {
			case w.more <- struct{}{}:
			default:
			}
		}
	}()
	w.t.Cleanup(func() {
		_ = c.Process.Kill()
		<-done
		_ = c.Wait()
	})
}

// await returns the first event of a kind whose text has a word.
func (w *watched) await(kind, word string) control.Event {
	w.t.Helper()
	timeout := time.After(patience)
	for {
		w.mu.Lock()
		i := slices.IndexFunc(w.events, func(e control.Event) bool { return e.Kind == kind && strings.Contains(e.Text, word) })
		all := w.events
		w.mu.Unlock()
		if i >= 0 {
			return all[i]
		}
		select {
		case <-w.more:
		case <-timeout:
			w.t.Fatalf("no event %s with %q: %+v", kind, word, all)
		}
	}
}

// order has the service do something after its next beat.
func (w *watched) order(what string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, what), nil, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// took waits until the service has taken an order.
func (w *watched) took(what string) {
	w.t.Helper()
	err := rig.Wait("the service to take the order "+what, patience, func() (bool, error) {
		_, err := os.Stat(filepath.Join(w.dir, what))
		return os.IsNotExist(err), nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) signal(pid int, sig syscall.Signal) {
	w.t.Helper()
	if err := unix.Kill(pid, sig); err != nil {
		w.t.Fatal(err)
	}
}

// hangs has the service hang at last: the first verdict must be about that.
func (w *watched) hangs() {
	w.t.Helper()
	w.order("hang")
	w.took("hang")
	at := time.Now()
	if e := w.await("verdict", ""); e.Time.Before(at) {
		w.t.Errorf("%s at %v, but it hung at %v", e.Text, e.Time, at)
	}
}

func TestVigilAndAStop(t *testing.T) {
	w := under(t, "beats")
	w.signal(w.status.PID, syscall.SIGSTOP)
	w.await("stopped", "STOP")
	<-time.After(3 * silence)
	w.signal(w.status.PID, syscall.SIGCONT)
	w.await("continued", "")
	w.hangs()
}

func TestVigilAndAFrozenCgroup(t *testing.T) {
	w := under(t, "beats")
	if w.status.Cgroup == "" {
		t.Skip("needs cgroups of services")
	}
	freeze := filepath.Join(w.status.Cgroup, "cgroup.freeze")
	put(t, freeze, "1")
	defer func() { _ = write(freeze, "0") }()
	w.await("excused", "frozen")
	<-time.After(3 * silence)
	put(t, freeze, "0")
	w.await("judged", "")
	w.hangs()
}

func TestVigilAndGDB(t *testing.T) {
	if _, err := exec.LookPath("gdb"); err != nil {
		t.Skip("needs gdb")
	}
	w := under(t, "beats")
	gdb := exec.Command("gdb", "-nx", "-q", "-p", strconv.Itoa(w.status.PID))
	in, err := gdb.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := gdb.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = gdb.Wait() }() // which detaches
	w.await("excused", "(gdb) traces it")
	<-time.After(3 * silence)
	if _, err := in.Write([]byte("detach\nquit\n")); err != nil {
		t.Fatal(err)
	}
	w.await("judged", "")
	w.hangs()
}

func TestVigilAndAnUninterruptibleWait(t *testing.T) {
	w := under(t, "beats")
	w.order("vfork")
	w.await("excused", "uninterruptible")
	children := rig.Descendants(w.status.PID)
	if len(children) != 1 {
		t.Fatalf("children %v", children)
	}
	w.signal(children[0], syscall.SIGKILL)
	w.hangs()
}

func TestVigilAndAQuota(t *testing.T) {
	w := under(t, "works")
	max := filepath.Join(w.status.Cgroup, "cpu.max")
	if err := write(max, "2000 100000"); err == nil {
		defer func() { _ = write(max, "max") }()
		w.await("excused", "starved")
		put(t, max, "max")
	} else {
		dir := oldGroup(t, "cpu")
		put(t, filepath.Join(dir, "cpu.cfs_quota_us"), "2000")
		put(t, filepath.Join(dir, "cgroup.procs"), strconv.Itoa(w.status.PID))
		defer func() { _ = write("/sys/fs/cgroup/cpu/cgroup.procs", strconv.Itoa(w.status.PID)) }()
		w.await("excused", "starved")
		put(t, filepath.Join(dir, "cpu.cfs_quota_us"), "-1")
	}
	w.hangs()
}

// The supervisor itself does not run for a while, as if its machine had been
// paused from outside. What was said meanwhile waits in the socket.
func TestVigilThatDidNotRun(t *testing.T) {
	w := under(t, "beats")
	supervisor := w.supervisor()
	for range 3 {
		w.signal(supervisor, syscall.SIGSTOP)
		<-time.After(silence + silence/2)
		w.signal(supervisor, syscall.SIGCONT)
		<-time.After(silence)
	}
	w.hangs()
}

// supervisor is the process of vigil that judges, a child of the keeper.
func (w *watched) supervisor() int {
	w.t.Helper()
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", w.sup.PID()))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, pid := range rig.Descendants(w.sup.PID()) {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == own {
			return pid
		}
	}
	w.t.Fatal("no supervisor")
	return 0
}

// A long garbage collection, announced by EXTEND_TIMEOUT_USEC. Not even a
// suspicion comes of it.
func TestVigilAndALongCollection(t *testing.T) {
	w := under(t, "beats")
	w.order("collect")
	w.took("collect")
	began := time.Now()
	<-time.After(collection - time.Second)
	ended := time.Now()
	w.took("collect")
	w.hangs()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == "suspect" && e.Time.After(began) && e.Time.Before(ended) {
			t.Errorf("%+v", e)
		}
	}
}
