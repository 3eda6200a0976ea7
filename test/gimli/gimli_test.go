package gimli

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// quick are limits that a test can wait for.
const quick = "start_timeout = \"700ms\"\nheartbeat.timeout = \"600ms\"\nstop_timeout = \"20s\"\n"

// threads are the names of the threads of a capture, with their states.
func threads(p snapshot.Process) map[string]string {
	all := map[string]string{}
	for _, t := range p.Threads {
		all[t.Comm] = t.State
	}
	return all
}

// TestFault: a thread of the program gets SIGSEGV. It is captured while it lives,
// goes on, winds up by itself and dies by its own signal.
func TestFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, signal, number string }{{"segv", "SEGV", "11"}, {"thread", "SEGV", "11"}, {"abort", "ABRT", "6"}, {"fpe", "FPE", "8"}} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			v := up(t, app("beat"), "")
			v.running(1)
			v.touch(c.file)
			v.event("verdict", "^crash: it got "+c.signal+" and stopped itself to be looked at \\(libgimli\\)$")
			v.touch("go-on")
			v.event("exit", "ended with signal "+c.signal)
			v.said("shutdown function after signal " + c.number)
			v.said("ends by signal " + c.number)
			i, p := v.incident(1, snapshot.CauseCrash)
			if i.Exit == nil || i.Exit.Signal != c.signal {
				t.Errorf("the incident has the exit %+v", i.Exit)
			}
			all := threads(p)
			if all["app"] != "T" || all["app-worker"] != "T" || p.State != "T" || c.file == "thread" && all["app-faulting"] != "T" {
				t.Errorf("the process was %s, its threads %v", p.State, all)
			}
			s := v.running(2)
			if s.Cause != string(snapshot.CauseCrash) || s.Restarts != 1 {
				t.Errorf("%+v", s)
			}
			v.said("(?s)attached, ticks 0.*attached, ticks 0") // the next one began with a segment of zeros
		})
	}
}

// TestHang: no tick any more. It is captured while it hangs, then it is sent
// ABRT, asks once more, and ends by itself.
func TestHang(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file  string
		cause snapshot.Cause
		text  string
	}{
		{"hang", snapshot.CauseHang, "libgimli: running, no tick for .* of 600ms"},
		{"starting", snapshot.CauseStartTimeout, "libgimli: starting, no tick for .* of 700ms"},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			v := up(t, app("beat"), quick)
			v.running(1)
			v.touch(c.file)
			v.event("suspect", c.text)
			v.event("verdict", "^"+string(c.cause)+": "+c.text)
			v.event("signal", "sent ABRT by vigil")
			v.event("exit", "ended with signal ABRT")
			v.said("shutdown function after signal 6")
			i, p := v.incident(1, c.cause)
			if i.Exit == nil || i.Exit.Signal != "ABRT" {
				t.Errorf("the incident has the exit %+v", i.Exit)
			}
			if all := threads(p); all["app"] != "S" || all["app-worker"] != "S" {
				t.Errorf("the threads were %v", all)
			}
			v.running(2)
			if n := v.count("capture", "^taking the stacks"); n != 1 {
				t.Errorf("it was captured %d times", n)
			}
		})
	}
}

// TestHangWhileStopping: of a program that says by itself that it ends, and does
// not.
func TestHangWhileStopping(t *testing.T) {
	t.Parallel()
	v := up(t, app("beat"), "stop_timeout = \"800ms\"\n")
	v.running(1)
	v.touch("stopping")
	v.event("verdict", "^hang: libgimli: stopping, no tick for .* of 800ms")
	v.event("exit", "ended with signal ABRT")
	v.running(2)
}

// TestFaultTwice: the shutdown function faults as well. Its stop is answered
// without a second capture.
func TestFaultTwice(t *testing.T) {
	t.Parallel()
	v := up(t, app("beat"), "")
	v.running(1)
	v.touch("again")
	v.said("shutdown function after signal 11")
	v.said("shutdown function after signal 8")
	v.event("exit", "ended with signal FPE")
	v.running(2)
	if n := v.count("capture", "^taking the stacks"); n != 1 {
		t.Errorf("it was captured %d times", n)
	}
}

// TestFaultThatDoesNotEnd: the time of a stop bounds the shutdown function.
func TestFaultThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	v := up(t, app("beat"), "stop_timeout = \"300ms\"\n")
	v.running(1)
	v.touch("stuck")
	v.said("shutdown function after signal 11")
	v.event("exit", "ended with signal KILL")
	if i, _ := v.incident(1, snapshot.CauseCrash); i.Exit == nil || i.Exit.Signal != "KILL" {
		t.Errorf("the incident has the exit %+v", i.Exit)
	}
	v.running(2)
}

// TestFaultWhileAskedToStop: it is captured, and stays down.
func TestFaultWhileAskedToStop(t *testing.T) {
	t.Parallel()
	v := up(t, app("term-segv"), "")
	v.running(1)
	v.ask(control.Stop)
	v.said("shutdown function after signal 11")
	v.service("stopped", func(s control.Service) bool { return s.State == "stopped" })
	v.event("verdict", "^crash: it got SEGV .*, while it was stopping$")
	if _, p := v.incident(1, snapshot.CauseCrash); p.State != "T" {
		t.Errorf("the process was %s", p.State)
	}
}

// TestOperatorStops: SIGSTOP from outside is no fault, and no silence either.
func TestOperatorStops(t *testing.T) {
	t.Parallel()
	v := up(t, app("beat"), quick)
	s := v.running(1)
	if err := unix.Kill(s.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	v.event("stopped", "somebody stopped it")
	v.service("not judged", func(s control.Service) bool {
		for _, one := range s.Signs {
			if one.Kind == "gimli" {
				return one.State == "suspended" && one.Age > 1.5 // more than twice its limit
			}
		}
		return false
	})
	if err := unix.Kill(s.PID, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	v.event("continued", "")
	if after := v.running(1); after.PID != s.PID {
		t.Errorf("%+v", after)
	}
}

// TestSupervisorKilled: a supervisor that is killed loses neither the watch nor
// a fault.
func TestSupervisorKilled(t *testing.T) {
	t.Parallel()
	v := up(t, app("beat"), quick)
	v.running(1)
	v.replace()
	v.running(1)
	v.touch("hang")
	v.event("verdict", "^hang: libgimli")
	v.event("exit", "ended with signal ABRT")
	v.running(2)
	v.replace()
	v.touch("segv")
	v.event("verdict", "^crash: it got SEGV")
	v.replace() // somewhere between the verdict and the next instance
	v.said("ends by signal 11")
	v.event("exit", "ended with signal SEGV")
	v.running(3)
	v.incident(2, snapshot.CauseCrash)
}

// TestAllOfVigilKilled: the segment was in the keeper's hands, and is found again
// in the program's memory. Its parent is somebody else now, so nobody tells of
// its stop.
func TestAllOfVigilKilled(t *testing.T) {
	t.Parallel()
	if unix.Geteuid() != 0 {
		t.Skip("needs root: /proc/PID/map_files")
	}
	v := up(t, app("beat"), "")
	before := v.running(1)
	v.killAll()
	reaped := make(chan unix.WaitStatus, 1)
	go func() {
		var status unix.WaitStatus
		_, _ = unix.Wait4(before.PID, &status, 0, nil)
		reaped <- status
	}()
	v.launch()
	if s := v.running(1); s.PID != before.PID {
		t.Errorf("pid %d, was %d", s.PID, before.PID)
	}
	v.touch("segv")
	v.event("verdict", "^crash: it got SEGV")
	v.said("ends by signal 11")
	if status := <-reaped; status.Signal() != unix.SIGSEGV {
		t.Errorf("it ended with %v", status)
	}
	v.incident(1, snapshot.CauseCrash)
	v.running(2)
}

// TestNextInstanceOfTheKeeper: the standing order starts the program anew on the
// same segment, in which nothing of the former one is left.
func TestNextInstanceOfTheKeeper(t *testing.T) {
	t.Parallel()
	v := up(t, app("beat"), "")
	s := v.running(1)
	if err := unix.Kill(s.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	v.event("exit", "started again at once")
	v.running(2)
	v.said("(?s)attached, ticks 0.*attached, ticks 0")
}

// TestScript beats by signal.
func TestScript(t *testing.T) {
	t.Parallel()
	v := up(t, []string{"/bin/sh", "-c", `
		echo "monitor $GIMLI_MONITOR_PID, parent $PPID, descriptor $GIMLI_HB_FD"
		while [ ! -e hang ]; do kill -USR1 $GIMLI_MONITOR_PID; sleep 0.05; done
		rm hang; exec sleep 1000`}, quick)
	v.running(1)
	keeper := number(v.cmd.Process.Pid)
	v.said("monitor " + keeper + ", parent " + keeper + ", descriptor 4$")
	v.touch("hang")
	v.event("verdict", "^hang: libgimli: running, no tick")
	v.event("exit", "ended with signal ABRT")
	v.running(2)
}

// TestAsksForSnapshot: a USR2 without a stop is a wish for a snapshot, after
// which the program runs on.
func TestAsksForSnapshot(t *testing.T) {
	t.Parallel()
	v := up(t, []string{"/bin/sh", "-c", `kill -USR1 $GIMLI_MONITOR_PID; kill -USR2 $GIMLI_MONITOR_PID; echo up; sleep 1000`}, "")
	v.said("^up")
	v.incident(1, snapshot.CauseRequested)
	v.running(1)
}

// TestDescendant: a process that the keeper has inherited faults. It is captured
// and continued; the service runs on.
func TestDescendant(t *testing.T) {
	t.Parallel()
	v := up(t, app("fork"), "")
	v.said("descendant")
	s := v.running(1)
	v.touch("child")
	v.event("alert", "of its tree stopped itself to be looked at")
	i, p := v.incident(1, snapshot.CauseCrash)
	if i.PID == s.PID || p.State != "T" {
		t.Errorf("%d is the main process, captured was %d in state %s", s.PID, i.PID, p.State)
	}
	v.said("ends by signal 6")
	v.running(1)
}

// TestWrapper: a shell that waits for the program is told of, early and late.
func TestWrapper(t *testing.T) {
	t.Parallel()
	v := up(t, []string{"/bin/sh", "-c", app("beat")[0] + " beat; true"}, "")
	v.running(1)
	v.event("alert", "has attached to libgimli, and at a fault it takes that one for its monitor")
	v.touch("segv")
	v.event("alert", "was ended by USR2")
	v.running(2)
}

// TestDryRun: a fault is told, and the program is let go.
func TestDryRun(t *testing.T) {
	t.Parallel()
	v := up(t, app("beat"), "dry_run = true\n")
	v.running(1)
	v.touch("segv")
	v.event("verdict", "^crash: it got SEGV")
	v.event("exit", "ended with signal SEGV")
	v.said("ends by signal 11")
	v.running(2)
}
