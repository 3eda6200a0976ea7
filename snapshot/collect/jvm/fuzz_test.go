package jvm

import "testing"

func FuzzParse(f *testing.F) {
	f.Add([]byte("Full thread dump X:\n\n\"a\" #1 [4] prio=5 tid=0x1 nid=0x2 waiting on condition [0x3]\n   java.lang.Thread.State: WAITING (parking)\n\tat a.B.c(java.base@17/B.java:12)\n\t- parking to wait for  <0x0004> (a java.util.concurrent.locks.ReentrantLock$NonfairSync)\n\n   Locked ownable synchronizers:\n\t- <0x0005> (a X)\n\nJNI global refs: 5\n"))
	f.Add([]byte("Full thread dump\n\"a\nb\" #1 tid=0x1 nid=7 runnable\n"))
	f.Add([]byte("Thread 12: (state = BLOCKED)\n - a.B.c(int) @bci=5, line=7 (Compiled frame)\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, read := range []func([]byte) (dump, bool){parse, parseJhsdb} {
			d, found := read(text)
			s := stacksOf(d, "fuzz")
			if !found && len(d.threads) > 0 || s.Total != len(d.threads) || len(d.threads) > maxThreads {
				t.Errorf("%+v", d)
			}
		}
	})
}

func FuzzParseCounters(f *testing.F) {
	head := []byte{0xca, 0xfe, 0xc0, 0xc0, 1, 2, 0, 1, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0}
	entry := []byte{32, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 'J', 0, 1, 1, 24, 0, 0, 0, 'a', 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0}
	f.Add(append(head, entry...))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := parseCounters(b)
		for _, c := range list {
			if len(c.name) > maxText || len(c.text) > 4*maxText {
				t.Errorf("%+v", c)
			}
		}
		safepoints(list)
	})
}
