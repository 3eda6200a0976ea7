package logrotate

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const rotations = 2

// TestMatrix rotates empty and full logs in every way: services run on, no line
// is lost, and what is written afterwards is in the new files.
func TestMatrix(t *testing.T) {
	for _, by := range []string{"reopen", "USR1", "HUP"} {
		for _, full := range []bool{false, true} {
			for _, shared := range []bool{false, true} {
				for _, compress := range []bool{false, true} {
					name := fmt.Sprintf("%s/full=%v/sharedscripts=%v/compress=%v", by, full, shared, compress)
					t.Run(name, func(t *testing.T) { testRotation(t, by, full, shared, compress) })
				}
			}
		}
	}
}

func testRotation(t *testing.T, by string, full, shared, compress bool) {
	v := up(t)
	before := v.pids()
	if out, err := v.run("reopen"); err != nil || out != "" {
		t.Fatalf("vigil reopen: %v %q", err, out) // it makes the file of output that has not come yet
	}
	for _, log := range v.logs() {
		v.eventually(log, func() error { _, err := os.Stat(log); return err })
	}
	if full {
		v.write("go", "")
		v.grows("lines before the rotation")
	}
	script := binary + " reopen " + strings.Join(v.flags(), " ")
	var options []string
	if by != "reopen" {
		script = fmt.Sprintf("kill -%s $(%s status --pid %s)", by, binary, strings.Join(v.flags(), " "))
	}
	if shared {
		options = append(options, "sharedscripts")
	}
	if compress {
		options = append(options, "compress")
		if by != "reopen" {
			// kill(1) returns before anything is open anew.
			options = append(options, "delaycompress")
		}
	}
	for n := range rotations {
		v.rotate(options, script)
		if by == "reopen" {
			for _, log := range v.logs() {
				v.nobodyHas(log + ".1")
			}
		}
		if !full && n+1 < rotations {
			continue
		}
		v.write("go", "")
		v.grows(fmt.Sprintf("lines after rotation %d", n+1))
	}
	if after := v.pids(); !maps.Equal(before, after) {
		t.Errorf("the services were %v, are %v", before, after)
	}
	v.end()
	for _, log := range v.logs() {
		v.complete(log, rotations)
	}
}

// nobodyHas checks that no process has a file open for writing, which
// compression begins to read at that moment.
func (v *vigil) nobodyHas(path string) {
	v.t.Helper()
	var want unix.Stat_t
	if err := unix.Stat(path, &want); err != nil {
		return // compressed by now
	}
	pids := v.pids()
	for _, pid := range []int{pids["captured"], pids["own"], v.cmd.Process.Pid} {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			v.t.Fatal(err)
		}
		for _, fd := range fds {
			var st unix.Stat_t
			if unix.Stat(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()), &st) == nil && st.Dev == want.Dev && st.Ino == want.Ino {
				v.t.Errorf("pid %d has %s open as %s", pid, path, fd.Name())
			}
		}
	}
}

// TestTwentyAtOnce: every one of many requests at a time is answered well, soon,
// and for what was rotated before it.
func TestTwentyAtOnce(t *testing.T) {
	v := up(t)
	v.pids()
	v.write("go", "")
	v.grows("lines")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			began := time.Now()
			if out, err := v.run("reopen"); err != nil || out != "" {
				t.Errorf("vigil reopen after %s: %v %q", time.Since(began), err, out)
			}
		})
	}
	all.Wait()
	v.end()
	for _, log := range v.logs() {
		v.complete(log, 0)
	}
}

// TestReopenWhileReplaced: requests survive the replacement of the supervisor.
func TestReopenWhileReplaced(t *testing.T) {
	v := up(t)
	before := v.pids()
	v.write("go", "")
	v.grows("lines")
	for range 5 {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if out, err := v.run("reopen"); err != nil || out != "" {
					t.Errorf("vigil reopen: %v %q", err, out)
				}
			})
		}
		all.Go(v.killSupervisor)
		all.Wait()
	}
	if after := v.pids(); !maps.Equal(before, after) {
		t.Errorf("the services were %v, are %v", before, after)
	}
}

// killSupervisor kills the supervisor: the child of the keeper with its name
// that is no service.
func (v *vigil) killSupervisor() {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", v.cmd.Process.Pid))
	if err != nil {
		v.t.Error(err)
		return
	}
	for _, pid := range strings.Fields(string(children)) {
		comm, err := os.ReadFile("/proc/" + pid + "/comm")
		if err == nil && string(comm) == "vigil\n" {
			if err := exec.Command("kill", "-KILL", pid).Run(); err != nil {
				v.t.Error(err)
			}
		}
	}
}
