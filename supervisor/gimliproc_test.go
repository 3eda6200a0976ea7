package supervisor

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/procbelong"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// A process that catches its fault signals is in no handler, nor is one that
// blocks them all.
func TestFaultOfNobody(t *testing.T) {
	if name, in := faultOf(os.Getpid()); in {
		t.Errorf("we are said to handle %s", name)
	}
	if name, in := faultOf(1 << 30); in {
		t.Errorf("a process that does not exist handles %s", name)
	}
}

func TestMask(t *testing.T) {
	status := []string{"Name:\tx", "SigBlk:\t0000000000000400", "SigCgt:\t00000001fffffaff", "SigIgn:\tnonsense"}
	if mask(status, "SigBlk") != 1<<(unix.SIGSEGV-1) || mask(status, "SigIgn") != 0 || mask(status, "SigPnd") != 0 {
		t.Error(mask(status, "SigBlk"), mask(status, "SigIgn"))
	}
	if in := faultSignals & mask(status, "SigBlk") &^ mask(status, "SigCgt"); in != 1<<(unix.SIGSEGV-1) {
		t.Errorf("%#x", in)
	}
}

// TestOpenMapped finds memory in a process to which nobody else has a descriptor.
func TestOpenMapped(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: /proc/PID/map_files")
	}
	f, err := watchdog.NewGimliPage()
	if err != nil {
		t.Fatal(err)
	}
	page, err := watchdog.MapGimliPage(f)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	if _, err := f.WriteAt([]byte{1, 2, 3}, 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	found, err := openMapped(os.Getpid(), watchdog.GimliPageName)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	again, err := watchdog.MapGimliPage(found)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	b := make([]byte, 3)
	if _, err := found.ReadAt(b, 0); err != nil || string(b) != "\x01\x02\x03" {
		t.Errorf("%v, %v", b, err)
	}
	if _, err := openMapped(os.Getpid(), "vigil-nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func FuzzMappingOf(f *testing.F) {
	f.Add([]byte("7f0-7f1 rw-s 00000000 00:01 5   /memfd:vigil-gimli (deleted)\n"))
	f.Add([]byte("7f0-7f1 r--p 0 0 0\n\n/memfd:vigil-gimli"))
	f.Fuzz(func(t *testing.T, maps []byte) {
		region, ok := mappingOf(maps, "vigil-gimli")
		if ok && (region == "" || strings.ContainsAny(region, " \n")) {
			t.Errorf("%q", region)
		}
	})
}

// FuzzMask: whatever a status says, no signal is made up of it.
func FuzzMask(f *testing.F) {
	f.Add("SigBlk:\t0000000000000400")
	f.Add("SigBlk:")
	f.Fuzz(func(t *testing.T, text string) {
		if n := mask(lines([]byte(text)), "SigBlk"); n != 0 && !strings.Contains(text, "SigBlk:") {
			t.Errorf("%#x", n)
		}
	})
}

func TestStoppedMembers(t *testing.T) {
	if got := stoppedMembers(nil); got != nil {
		t.Errorf("%v", got)
	}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("no sleep")
	}
	cmd := exec.Command(sleep, "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if err := cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(cmd.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatal(err, status)
	}
	m := procbelong.Tree(cmd.Process.Pid)
	if got := stoppedMembers(&m); len(got) != 1 || got[0] != cmd.Process.Pid {
		t.Errorf("%v, want %d", got, cmd.Process.Pid)
	}
}
