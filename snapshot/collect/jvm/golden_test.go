package jvm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func golden(t *testing.T, name string, read func([]byte) (dump, bool)) *snapshot.Stacks {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	d, found := read(text)
	if !found || d.cut || d.version == "" {
		t.Fatalf("%+v", d)
	}
	return stacksOf(d, name)
}

// groupAt returns the group that stands in a function of the program.
func groupAt(s *snapshot.Stacks, function string) *snapshot.Group {
	for i, g := range s.Groups {
		for _, f := range g.Frames {
			if f.Function == function {
				return &s.Groups[i]
			}
		}
	}
	return nil
}

// TestDeadlocksWithoutOwners: neither dump lists who owns a lock, but both tell
// of deadlocks.
func TestDeadlocksWithoutOwners(t *testing.T) {
	for name, read := range map[string]func([]byte) (dump, bool){"17-sigquit.txt": parse, "17-jhsdb.txt": parseJhsdb} {
		s := golden(t, name, read)
		checkDeadlocks(t, Result{Stacks: s}, 2)
		if len(s.Notes) > 0 {
			t.Errorf("%s: %q", name, s.Notes)
		}
		for _, w := range s.Waits {
			if w.Name != "java.lang.Object" && w.Name != "java.util.concurrent.locks.ReentrantLock$NonfairSync" {
				t.Errorf("%s: %+v", name, w)
			}
		}
		if g := groupAt(s, "Deadlock.main"); g == nil || g.Status != "waiting" || g.WaitReason != "park" || g.System {
			t.Errorf("%s: %+v", name, g)
		}
	}
}

// TestVirtual: a virtual thread and its carrier are two.
func TestVirtual(t *testing.T) {
	s := golden(t, "25-print.txt", parse)
	own, carrier := groupAt(s, "V.lambda$main$0"), groupAt(s, "java.lang.VirtualThread.runContinuation")
	if own == nil || carrier == nil {
		t.Fatalf("%+v", s.Groups)
	}
	if own.IDs[0] != 22 || own.Status != "runnable" || own.Idle != "" || own.Frames[0].Function != "V.lambda$main$0" || own.Members[0].TID != 22716 {
		t.Errorf("%+v", own)
	}
	if carrier.IDs[0] != 23 || carrier.Status != "runnable" || carrier.Idle == "" || carrier.Members[0].TID != 22716 {
		t.Errorf("%+v", carrier)
	}
	if g := groupAt(s, "V.main"); g == nil || g.IDs[0] != 3 || g.Members[0].TID != 22695 {
		t.Errorf("%+v", g)
	}
	if len(s.Notes) != 1 {
		t.Errorf("%q", s.Notes)
	}
}

// TestZooKeeper: idle, it has its own threads in the front, and the JVM's behind.
func TestZooKeeper(t *testing.T) {
	s := golden(t, "17-zookeeper.txt", parse)
	for function, want := range map[string]string{
		"org.apache.zookeeper.server.PrepRequestProcessor.run": "waiting",
		"org.apache.zookeeper.server.SyncRequestProcessor.run": "waiting",
		"org.apache.zookeeper.server.RequestThrottler.run":     "waiting",
	} {
		if g := groupAt(s, function); g == nil || g.Status != want || g.WaitReason != "park" || g.System || g.Idle != "" {
			t.Errorf("%s: %+v", function, g)
		}
	}
	named := 0
	for _, g := range s.Groups {
		for _, m := range g.Members {
			if m.Name == "VM Thread" || m.Name == "Signal Dispatcher" || m.Name == "C2 CompilerThread0" {
				named++
				if !g.System {
					t.Errorf("%+v", g)
				}
			}
		}
	}
	if named != 3 || len(s.Deadlocks) > 0 {
		t.Errorf("%d, %+v", named, s.Deadlocks)
	}
}

// TestObjectWait: who waits in Object.wait has given the monitor up, also where
// the dump does not name it; who comes back waits for its owner.
func TestObjectWait(t *testing.T) {
	const text = `Full thread dump OpenJDK 64-Bit Server VM (11.0.2+9 mixed mode):

"gave up" #11 prio=5 os_prio=0 cpu=0.20ms elapsed=9.00s tid=0x00007f01 nid=0x11 in Object.wait()  [0x00007f02]
   java.lang.Thread.State: WAITING (on object monitor)
	at java.lang.Object.wait(java.base@11.0.2/Native Method)
	- waiting on <no object reference available>
	at a.B.c(B.java:7)
	- locked <0x00000000aa> (a a.B)

"owner" #12 prio=5 os_prio=0 cpu=0.20ms elapsed=9.00s tid=0x00007f03 nid=0x12 runnable  [0x00007f04]
   java.lang.Thread.State: RUNNABLE
	at a.B.d(B.java:9)
	- locked <0x00000000aa> (a a.B)

"comes back" #13 prio=5 os_prio=0 cpu=0.20ms elapsed=9.00s tid=0x00007f05 nid=0x13 in Object.wait()  [0x00007f06]
   java.lang.Thread.State: BLOCKED (on object monitor)
	at java.lang.Object.wait(java.base@11.0.2/Native Method)
	- waiting on <0x00000000aa> (a a.B)
	at a.B.c(B.java:7)
	- waiting to re-lock in wait() <0x00000000aa> (a a.B)
`
	d, _ := parse([]byte(text))
	s := stacksOf(d, "")
	if len(s.Waits) != 1 || s.Waits[0].Waiter != 13 || s.Waits[0].Holder != 12 || !s.Waits[0].Certain || s.Waits[0].Place.Line != 7 {
		t.Errorf("%+v", s.Waits)
	}
}

// TestOldJhsdb: JDK 8 has another word for a thread's state, and no names.
func TestOldJhsdb(t *testing.T) {
	const text = `Attaching to process ID 4700, please wait...
JVM version is 25.412-b08
Deadlock Detection:

No deadlocks found.

Thread 4711: (state = BLOCKED)
 - sun.misc.Unsafe.park(boolean, long) @bci=0 (Compiled frame; information may be imprecise)
 - a.B.c() @bci=1, line=7 (Interpreted frame)


Thread 4712: (state = IN_JAVA)
 - a.B.d() @bci=1, line=9 (Compiled frame)


Thread 4713: (state = BLOCKED)
`
	d, found := parseJhsdb([]byte(text))
	s := stacksOf(d, "")
	parked, busy := groupAt(s, "a.B.c"), groupAt(s, "a.B.d")
	if !found || parked == nil || busy == nil || len(d.threads) != 3 {
		t.Fatalf("%+v", d)
	}
	if parked.Status != "waiting" || parked.WaitReason != "park" || parked.System || busy.Status != "runnable" || busy.System || len(late(d)) != 1 {
		t.Errorf("%+v, %+v, %q", parked, busy, late(d))
	}
}

// TestSameName: an owner is not told by a name that two threads have.
func TestSameName(t *testing.T) {
	const threads = `Full thread dump X:
"w" #1 tid=0x1 nid=0x1 waiting on condition
	at a.B.c(B.java:7)
	- parking to wait for  <0xb> (a L)
"w" #2 tid=0x2 nid=0x2 waiting on condition
	at a.B.c(B.java:7)
	- parking to wait for  <0xa> (a L)
"w" #3 tid=0x3 nid=0x3 waiting on condition
	at a.B.c(B.java:7)
	- parking to wait for  <SECOND> (a L)
JNI global refs: 1

Found one Java-level deadlock:
=============================
"w":
  waiting for ownable synchronizer 0xa, (a L),
  which is held by "w"

"w":
  waiting for ownable synchronizer 0xb, (a L),
  which is held by "w"

Java stack information for the threads listed above:
`
	for second, want := range map[string]int{"0xc": 1, "0xb": 0} {
		d, _ := parse([]byte(strings.Replace(threads, "SECOND", second, 1)))
		if s := stacksOf(d, ""); len(s.Deadlocks) != want {
			t.Errorf("%s: %+v", second, s.Deadlocks)
		}
	}
}
