package kmsg

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	at, text, ok := parse("3,1234,5678901,-;Memory cgroup out of memory: Killed process 42 (worker) total-vm:1234kB, anon-rss:999kB\n SUBSYSTEM=x\n")
	if !ok || at != 5678901*time.Microsecond || !killed(text, 42) || killed(text, 4) || killed(text, 421) {
		t.Errorf("%v %q %v", at, text, ok)
	}
	if _, text, _ := parse("3,1,2,-;Out of memory: Killed process 7 (a b) total-vm:1kB"); !killed(text, 7) {
		t.Errorf("%q", text)
	}
	for _, bad := range []string{"", ";", "a;b", "1,2;x", "1,2,x,-;y", "1,2,-5,-;y", "1,2,9223372036854775807,-;y", "6,1,2,-;oom_kill_process", "6,1,2,-;said: Killed process 42 (x)"} {
		if _, text, ok := parse(bad); ok && killed(text, 42) {
			t.Errorf("%q tells of a kill", bad)
		}
	}
}

// The log of this machine ends, and nobody was killed in the future.
func TestRead(t *testing.T) {
	text, err := OOMKill(1, 1<<62)
	if err != nil {
		t.Skipf("needs to read /dev/kmsg: %v", err)
	}
	if text != "" {
		t.Errorf("%q", text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("3,1234,5678901,-;Memory cgroup out of memory: Killed process 42 (worker) total-vm:1234kB")
	f.Fuzz(func(t *testing.T, s string) {
		if _, text, ok := parse(s); ok {
			killed(text, 42)
		}
	})
}
