package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 20 * time.Second

func systemctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("systemctl", args...).CombinedOutput()
	if err != nil {
		log, _ := exec.Command("journalctl", "-n", "40", "--no-pager").Output()
		t.Fatalf("systemctl %s: %v\n%s\n%s", strings.Join(args, " "), err, out, log)
	}
	return strings.TrimSpace(string(out))
}

func show(t *testing.T, unit, property string) string {
	t.Helper()
	return systemctl(t, "show", "--value", "-p", property, unit)
}

func mainPID(t *testing.T, unit string) int {
	t.Helper()
	pid, err := strconv.Atoi(show(t, unit, "MainPID"))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func version(t *testing.T) int {
	t.Helper()
	var n int
	if _, err := fmt.Sscanf(systemctl(t, "--version"), "systemd %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// install makes a unit of packaging/systemd/vigil.service whose main process is
// ours, with settings that differ.
func install(t *testing.T, settings ...string) string {
	t.Helper()
	unit := fmt.Sprintf("t%d.service", time.Now().UnixNano())
	text, err := os.ReadFile(stage + "/vigil.service")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("/run/systemd/system", unit)
	dropin := path + ".d/test.conf"
	if err := os.MkdirAll(filepath.Dir(dropin), 0o755); err != nil {
		t.Fatal(err)
	}
	own := "[Service]\nExecStart=\nExecStart=" + stage + "/test\nEnvironment=VIGIL_TEST_ROLE=service\n" + strings.Join(settings, "\n") + "\n"
	for name, text := range map[string]string{path: string(text), dropin: own} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	systemctl(t, "daemon-reload")
	t.Cleanup(func() {
		systemctl(t, "stop", unit)
		_ = os.Remove(path)
		_ = os.RemoveAll(filepath.Dir(dropin))
	})
	return unit
}

// await asks until the status line has want.
func await(t *testing.T, unit, want string) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		status := show(t, unit, "StatusText")
		if strings.Contains(status, want) {
			return
		}
		select {
		case <-end.C:
			log, _ := exec.Command("journalctl", "-n", "40", "--no-pager").Output()
			t.Fatalf("status is %q, not %q\n%s", status, want, log)
		case <-tick.C:
		}
	}
}

const first = "generation=1 names=0 alive=true echo=line-1 environ=0 state=<nil>"

func adopted(generation int) string {
	return fmt.Sprintf("generation=%d names=4 alive=true echo=line-%d environ=0 state=<nil>", generation, generation)
}

func kill(t *testing.T, unit string, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(mainPID(t, unit), sig); err != nil {
		t.Fatal(err)
	}
}

// The settings of the unit are what lets a child and its descriptors live
// through a kill -9 of the main process, again and again.
func TestKilled(t *testing.T) {
	unit := install(t)
	systemctl(t, "start", unit)
	await(t, unit, first)
	for generation := 2; generation < 5; generation++ {
		kill(t, unit, syscall.SIGKILL)
		await(t, unit, adopted(generation))
	}
	if n := show(t, unit, "NFileDescriptorStore"); n != "4" {
		t.Errorf("%s descriptors are stored", n)
	}
}

func TestRestarted(t *testing.T) {
	unit := install(t, "Environment=VIGIL_TEST_LEAVE=1")
	systemctl(t, "start", unit)
	systemctl(t, "restart", unit)
	await(t, unit, adopted(2))
}

// Only systemd 254 and later keep descriptors over a stop.
func TestStoppedAndStarted(t *testing.T) {
	unit := install(t, "Environment=VIGIL_TEST_LEAVE=1")
	systemctl(t, "start", unit)
	systemctl(t, "stop", unit)
	systemctl(t, "start", unit)
	if version(t) >= 254 {
		await(t, unit, adopted(2))
	} else {
		await(t, unit, first)
	}
}

// Each of these settings is needed: with the other value nothing survives.
func TestWithout(t *testing.T) {
	for setting, want := range map[string]string{
		"FileDescriptorStoreMax=0": first,
		"KillMode=mixed":           "generation=2 names=4 alive=false",
		"KillMode=control-group":   "generation=2 names=4 alive=false",
	} {
		t.Run(setting, func(t *testing.T) {
			// With mixed, systemd waits that long for the child before it kills it.
			unit := install(t, setting, "TimeoutStopSec=1s")
			systemctl(t, "start", unit)
			pid := mainPID(t, unit)
			kill(t, unit, syscall.SIGKILL)
			awaitOther(t, unit, pid)
			await(t, unit, want)
		})
	}
}

// awaitOther asks until another main process is there and ready.
func awaitOther(t *testing.T, unit string, pid int) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if now := mainPID(t, unit); now != pid && now != 0 && show(t, unit, "SubState") == "running" {
			return
		}
		select {
		case <-end.C:
			t.Fatalf("no other main process than %d", pid)
		case <-tick.C:
		}
	}
}

func TestReload(t *testing.T) {
	kinds := map[string][]string{"notify": {"Type=notify"}}
	if version(t) >= 253 {
		kinds["notify-reload"] = []string{"Type=notify-reload", "ExecReload="}
	}
	for kind, settings := range kinds {
		t.Run(kind, func(t *testing.T) {
			unit := install(t, settings...)
			systemctl(t, "start", unit)
			pid := mainPID(t, unit)
			for i := 1; i <= 3; i++ {
				systemctl(t, "reload", unit)
				want := fmt.Sprintf("reloads=%d", i)
				if kind == "notify" { // returns when kill has; the handshake follows
					await(t, unit, want)
				} else if status := show(t, unit, "StatusText"); !strings.Contains(status, want) {
					t.Errorf("reload returned with %q", status)
				}
			}
			if now := mainPID(t, unit); now != pid {
				t.Errorf("main process was %d, is %d", pid, now)
			}
		})
	}
}

// A main process that hangs is ended by the watchdog; its child lives on.
func TestWatchdog(t *testing.T) {
	unit := install(t, "WatchdogSec=1s")
	systemctl(t, "start", unit)
	kill(t, unit, syscall.SIGUSR1)
	await(t, unit, adopted(2))
}
