package systemd

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// house is the unit of packaging/systemd with the real vigil, and its services.
type house struct {
	t    *testing.T
	unit string
	name string
	dir  string
}

// counting is a service that numbers its lines, notices when it runs twice, and
// ends with status 7 when it is asked to.
const counting = `[service.%[1]s]
command = ["/bin/bash", "-c", "exec 8>>%[2]s/%[1]s.lock; flock -n 8 || echo $$ >>%[2]s/twice; trap 'echo last $i; exit 7' TERM; i=0; while :; do i=$((i+1)); echo line $i; read -r -t 0.01 x <>/dev/ptmx; done"]
`

func newHouse(t *testing.T, settings ...string) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{t: t, dir: dir, name: fmt.Sprintf("v%d", time.Now().UnixNano())}
	h.configure("a", "b")
	start := fmt.Sprintf("ExecStart=%s/vigil --name %s up %s", stage, h.name, h.file())
	settings = append([]string{"ExecStart=", start, "Environment=VIGIL_TEST_ROLE="}, settings...)
	h.unit = install(t, settings...)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := exec.Command("journalctl", "-u", h.unit, "--no-pager").Output()
			t.Logf("%s", log)
		}
	})
	return h
}

func (h *house) file() string { return filepath.Join(h.dir, "vigil.toml") }

func (h *house) configure(services ...string) {
	h.t.Helper()
	text := ""
	for _, s := range services {
		text += fmt.Sprintf(counting, s, h.dir)
	}
	h.write(text)
}

func (h *house) write(text string) {
	h.t.Helper()
	if err := os.WriteFile(h.file(), []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// inside is one service as `vigil status --json` has it.
type inside struct {
	Service  string
	State    string
	PID      int
	Instance uint64
	Restarts uint64
}

func (h *house) vigil(args ...string) (string, error) {
	out, err := exec.Command(stage+"/vigil", append([]string{"--name", h.name}, args...)...).CombinedOutput()
	return string(out), err
}

func (h *house) status() map[string]inside {
	out, err := h.vigil("status", "--json")
	if err != nil {
		return nil // between two vigils
	}
	var list []inside
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		h.t.Fatalf("status: %v\n%s", err, out)
	}
	all := map[string]inside{}
	for _, s := range list {
		all[s.Service] = s
	}
	return all
}

func (h *house) until(what string, ok func() bool) {
	h.t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end.C:
			h.t.Fatalf("not seen: %s; services %+v, unit %s", what, h.status(), show(h.t, h.unit, "SubState"))
		case <-tick.C:
		}
	}
}

// running waits until these services run, each with output.
func (h *house) running(services ...string) map[string]inside {
	h.t.Helper()
	var all map[string]inside
	h.until("services that run", func() bool {
		all = h.status()
		for _, name := range services {
			if all[name].State != "running" || len(h.output(name)) == 0 {
				return false
			}
		}
		return len(all) == len(services)
	})
	return all
}

func (h *house) output(service string) string {
	b, _ := os.ReadFile(filepath.Join("/var/lib/vigil", h.name, "log", service+".log"))
	return string(b)
}

var counted = regexp.MustCompile(`(?m)(?:^|\s)(line|last) (\d+)$`)

// whole checks that the lines of all instances are there, in order, once.
func (h *house) whole(service string, instances int) {
	h.t.Helper()
	want, ends := 1, 0
	for _, m := range counted.FindAllStringSubmatch(h.output(service), -1) {
		n, _ := strconv.Atoi(m[2])
		if m[1] == "last" {
			if n != want-1 {
				h.t.Errorf("%s: the last line is %d, the last kept %d", service, n, want-1)
			}
			want, ends = 1, ends+1
			continue
		}
		if n != want {
			h.t.Errorf("%s: line %d where %d was due", service, n, want)
		}
		want = n + 1
	}
	if ends != instances {
		h.t.Errorf("%s: %d instances have ended in the log, not %d", service, ends, instances)
	}
	if b, err := os.ReadFile(filepath.Join(h.dir, "twice")); err == nil {
		h.t.Errorf("a second instance ran: %s", b)
	}
}

// talk waits until so many instances of each service have said something: before
// that their shells have no trap yet, and TERM ends them as it ends any process.
func (h *house) talk(instances int, services ...string) {
	h.t.Helper()
	for _, service := range services {
		h.until(service+" to say something", func() bool {
			begun := 0
			for _, m := range counted.FindAllStringSubmatch(h.output(service), -1) {
				if m[1] != "last" && m[2] == "1" {
					begun++
				}
			}
			return begun >= instances
		})
	}
}

// gone checks that a stop has left nothing of the services.
func (h *house) gone(group string, all map[string]inside) {
	h.t.Helper()
	for _, s := range all {
		if syscall.Kill(s.PID, 0) == nil {
			h.t.Errorf("%s, pid %d, is left", s.Service, s.PID)
		}
	}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "cgroup.procs" && strings.Contains(path, group) {
			if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
				h.t.Errorf("processes are left in %s: %q", path, b)
			}
		}
		return nil
	})
}

// environments checks that nothing that systemd says of vigil reaches anybody
// whom vigil starts.
func (h *house) environments(all map[string]inside) {
	h.t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", mainPID(h.t, h.unit)))
	if err != nil {
		h.t.Fatal(err)
	}
	var pids []string // the supervisor, and who was started since
	for _, list := range lists {
		b, _ := os.ReadFile(list) // a thread may have ended
		pids = append(pids, strings.Fields(string(b))...)
	}
	if len(pids) == 0 {
		h.t.Error("the keeper has no supervisor")
	}
	for _, s := range all {
		pids = append(pids, strconv.Itoa(s.PID))
	}
	for _, pid := range pids {
		env, err := os.ReadFile("/proc/" + pid + "/environ")
		if err != nil {
			h.t.Error(err)
		}
		for one := range strings.SplitSeq(string(env), "\x00") {
			own := strings.HasPrefix(one, "NOTIFY_SOCKET=/run/vigil/"+h.name+"/")
			if !own && regexp.MustCompile(`^(NOTIFY_|WATCHDOG_|LISTEN_|FDSTORE)`).MatchString(one) {
				h.t.Errorf("pid %s has %s", pid, one)
			}
		}
	}
}

// A keeper that is killed comes back to the same processes, nothing runs twice,
// and not a line is lost.
func TestVigilKilled(t *testing.T) {
	h := newHouse(t)
	systemctl(t, "start", h.unit)
	before := h.running("a", "b")
	group := show(t, h.unit, "ControlGroup")
	h.environments(before)
	for range 5 {
		pid := mainPID(t, h.unit)
		kill(t, h.unit, syscall.SIGKILL)
		awaitOther(t, h.unit, pid)
		after := h.running("a", "b")
		if fmt.Sprint(after) != fmt.Sprint(before) {
			t.Fatalf("services were %+v, are %+v", before, after)
		}
	}
	h.environments(before)
	await(t, h.unit, "2 running, supervisor pid")
	// One of them ends: what is started then has a clean environment, too, and
	// its parent is the keeper of today.
	if err := syscall.Kill(before["b"].PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	h.until("another instance", func() bool { return h.status()["b"].Instance == 2 && h.status()["b"].State == "running" })
	after := h.running("a", "b")
	h.environments(after)
	if out, _ := h.vigil("events"); !strings.Contains(out, "status 7") {
		t.Errorf("the exit status is not known:\n%s", out)
	}
	// 3 of each, 2 notify sockets, 2 pages of activities, the configuration, the
	// memory of output, of events and of samples; nothing piles up.
	if n, _ := strconv.Atoi(show(t, h.unit, "NFileDescriptorStore")); n < 12 || n > 15 {
		t.Errorf("%d descriptors are stored", n)
	}
	h.talk(2, "b")
	systemctl(t, "stop", h.unit)
	h.gone(group, after)
	h.whole("a", 1)
	h.whole("b", 2)
}

// A service that ends while no keeper runs: its status is known all the same,
// from the pidfd that systemd kept, and what it wrote last from its pipe.
func TestVigilServiceEndsWithoutKeeper(t *testing.T) {
	h := newHouse(t, "RestartSec=1s")
	systemctl(t, "start", h.unit)
	before := h.running("a", "b")
	pid := mainPID(t, h.unit)
	kill(t, h.unit, syscall.SIGKILL)
	h.until("no keeper", func() bool { return mainPID(t, h.unit) == 0 })
	if err := syscall.Kill(before["a"].PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	h.until("the end of a", func() bool { return syscall.Kill(before["a"].PID, 0) == syscall.ESRCH })
	awaitOther(t, h.unit, pid)
	h.until("another instance", func() bool { return h.status()["a"].Instance == 2 && h.status()["a"].State == "running" })
	if b := h.status()["b"]; b.PID != before["b"].PID {
		t.Errorf("b was pid %d, is %d", before["b"].PID, b.PID)
	}
	if out, _ := h.vigil("events"); !strings.Contains(out, fmt.Sprintf("pid %d ended with status 7", before["a"].PID)) {
		t.Errorf("the exit status is not known:\n%s", out)
	}
	h.talk(2, "a")
	systemctl(t, "stop", h.unit)
	h.whole("a", 2)
	h.whole("b", 1)
}

// A keeper that was killed is started with a configuration that cannot be read
// by then: the one that was accepted counts.
func TestVigilKilledWithWrongFile(t *testing.T) {
	h := newHouse(t)
	systemctl(t, "start", h.unit)
	before := h.running("a", "b")
	h.write("[service.a]\ncomand = 1\n")
	pid := mainPID(t, h.unit)
	kill(t, h.unit, syscall.SIGKILL)
	awaitOther(t, h.unit, pid)
	if after := h.running("a", "b"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("services were %+v, are %+v", before, after)
	}
}

func TestVigilReload(t *testing.T) {
	h := newHouse(t)
	systemctl(t, "start", h.unit)
	before := h.running("a", "b")
	pid := mainPID(t, h.unit)
	h.configure("a", "b", "c")
	systemctl(t, "reload", h.unit)
	after := h.running("a", "b", "c")
	if after["a"] != before["a"] || after["b"] != before["b"] || mainPID(t, h.unit) != pid {
		t.Errorf("services were %+v, are %+v", before, after)
	}
	h.until("the end of the reload", func() bool { return show(t, h.unit, "SubState") == "running" })
	h.write("[service.a]\ncomand = 1\n")
	systemctl(t, "reload", h.unit)
	h.until("a refusal", func() bool {
		out, _ := h.vigil("events")
		return strings.Contains(out, "refused") && show(t, h.unit, "SubState") == "running"
	})
	if again := h.running("a", "b", "c"); fmt.Sprint(again) != fmt.Sprint(after) {
		t.Errorf("services were %+v, are %+v", after, again)
	}
}

func TestVigilRestart(t *testing.T) {
	h := newHouse(t)
	systemctl(t, "start", h.unit)
	before := h.running("a", "b")
	h.talk(1, "a", "b")
	group := show(t, h.unit, "ControlGroup")
	systemctl(t, "restart", h.unit)
	after := h.running("a", "b")
	h.talk(2, "a", "b")
	for name, s := range before {
		if after[name].PID == s.PID || after[name].Instance != 1 {
			t.Errorf("%s was %+v, is %+v", name, s, after[name])
		}
	}
	h.gone("no such group", before)
	systemctl(t, "stop", h.unit)
	h.gone(group, after)
	h.whole("a", 2)
	h.whole("b", 2)
}

// A configuration that is wrong from the beginning is not tried again and again.
func TestVigilWrongConfiguration(t *testing.T) {
	h := newHouse(t)
	h.write("[service.a]\ncomand = 1\n")
	if out, err := exec.Command("systemctl", "start", h.unit).CombinedOutput(); err == nil {
		t.Errorf("started: %s", out)
	}
	h.until("a unit that failed", func() bool { return show(t, h.unit, "ActiveState") == "failed" })
	if n, code := show(t, h.unit, "NRestarts"), show(t, h.unit, "ExecMainStatus"); n != "0" || code != "1" {
		t.Errorf("restarted %s times, exit status %s", n, code)
	}
}

// The keeper feeds the watchdog, and one that hangs is replaced.
func TestVigilWatchdog(t *testing.T) {
	h := newHouse(t, "WatchdogSec=1s", "TimeoutAbortSec=1s")
	systemctl(t, "start", h.unit)
	before := h.running("a", "b")
	fed := show(t, h.unit, "WatchdogTimestampMonotonic")
	h.until("five feedings", func() bool {
		then, _ := strconv.Atoi(fed)
		now, _ := strconv.Atoi(show(t, h.unit, "WatchdogTimestampMonotonic"))
		return now-then > 2_000_000
	})
	if n := show(t, h.unit, "NRestarts"); n != "0" {
		t.Errorf("restarted %s times", n)
	}
	pid := mainPID(t, h.unit)
	kill(t, h.unit, syscall.SIGSTOP)
	awaitOther(t, h.unit, pid)
	if after := h.running("a", "b"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("services were %+v, are %+v", before, after)
	}
}
