package jvm

import (
	"testing"
)

// TestParse reads dumps as versions of HotSpot print them.
func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       thread
	}{
		{"8", "Full thread dump OpenJDK 64-Bit Server VM (25.412-b08 mixed mode):\n\n\"main\" #1 prio=5 os_prio=0 tid=0x00007f8c4400b000 nid=0x1a2b in Object.wait() [0x00007f8c4b7fe000]\n   java.lang.Thread.State: WAITING (on object monitor)\n\tat java.lang.Object.wait(Native Method)\n\t- waiting on <0x00000000d5d8a0f8> (a java.lang.Object)\n\tat Main.main(Main.java:9)\n\t- locked <0x00000000d5d8a0f8> (a java.lang.Object)\n\n",
			thread{name: "main", number: 1, nid: 0x1a2b, doing: "in Object.wait()", state: "WAITING (on object monitor)", waitKind: kindWait}},
		{"17", "2026-11-25 08:52:00\nFull thread dump OpenJDK 64-Bit Server VM (17.0.16+8-Debian mixed mode, sharing):\n\nThreads class SMR info:\n_java_thread_list=0x0000, length=12, elements={\n0x1, 0x2\n}\n\n\"pool-1-thread-1\" #12 daemon prio=5 os_prio=0 cpu=0.15ms elapsed=3.21s tid=0x00007f nid=0x2b waiting for monitor entry  [0x00007f]\n   java.lang.Thread.State: BLOCKED (on object monitor)\n\tat app//a.B.c(B.java:7)\n\t- waiting to lock <0x0000000712345678> (a a.B)\n\n",
			thread{name: "pool-1-thread-1", number: 12, nid: 0x2b, daemon: true, doing: "waiting for monitor entry", state: "BLOCKED (on object monitor)", waitKind: kindEnter}},
		{"21", "Full thread dump OpenJDK 64-Bit Server VM (21.0.4+7 mixed mode):\n\n\"main\" #1 [4711] prio=5 os_prio=0 cpu=85.38ms elapsed=3.21s tid=0x00007f nid=4711 waiting on condition  [0x00007f]\n   java.lang.Thread.State: TIMED_WAITING (sleeping)\n\tat java.lang.Thread.sleep0(java.base@21.0.4/Native Method)\n\n",
			thread{name: "main", number: 1, nid: 4711, doing: "waiting on condition", state: "TIMED_WAITING (sleeping)"}},
		{"own", "Full thread dump X:\n\"VM Thread\" os_prio=0 cpu=1.2ms elapsed=3s tid=0x00007f nid=0x10 runnable  \n\nJNI global refs: 15, weak refs: 0\n",
			thread{name: "VM Thread", nid: 0x10, doing: "runnable"}},
	} {
		d, found := parse([]byte(tt.text))
		if !found || len(d.threads) != 1 {
			t.Errorf("%s: %+v", tt.name, d)
			continue
		}
		got := d.threads[0]
		if got.name != tt.want.name || got.number != tt.want.number || got.nid != tt.want.nid || got.daemon != tt.want.daemon || got.doing != tt.want.doing || got.state != tt.want.state || got.waitKind != tt.want.waitKind {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	d, _ := parse([]byte("Full thread dump X:\n\"a\" #1 tid=0x1 nid=0x1 runnable\n\tat app//a.B.c(B.java:7)\n\tat java.base@17/java.lang.Thread.run(Thread.java:833)\n\tat a.B.n(java.base@17.0.16/Native Method)\n"))
	for in, want := range map[string]string{"Main$$Lambda$14/0x0000000800c03000.run(Unknown Source)": "Main$$Lambda$14/0x0000000800c03000.run", "app//a.B.c(B.java:1)": "a.B.c"} {
		p := parser{d: &dump{}, t: &thread{}}
		if p.frame(in); p.t.frames[0].function != want {
			t.Errorf("%q became %+v", in, p.t.frames[0])
		}
	}
	if f := d.threads[0].frames; len(f) != 3 || f[0] != (frame{"a.B.c", "B.java", 7}) || f[1] != (frame{"java.lang.Thread.run", "Thread.java", 833}) || f[2] != (frame{"a.B.n", "Native Method", 0}) {
		t.Errorf("%+v", d.threads[0].frames)
	}
}
