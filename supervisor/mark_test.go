package supervisor

import (
	"os"
	"testing"
)

func TestInGroup(t *testing.T) {
	const shared = "/vigil-a.12/web."
	for text, want := range map[string]bool{
		"0::/vigil-a.12/web.3\n":                          true,
		"5:cpu:/x\n0::/system.slice/vigil-a.12/web.3/sub": true,
		"0::/vigil-a.12/web.3x\n":                         false,
		"0::/vigil-a.12/web.\n":                           false,
		"0::/vigil-a.12/webb.3\n":                         false,
		"0::/vigil-a.123/web.3\n":                         false,
		"1:name=systemd:/vigil-a.12/web.3\n0::/\n":        false,
		"": false,
	} {
		if got := inGroup(text, shared); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestAStrangerIsNotMarked(t *testing.T) {
	for _, h := range []home{{cgroup: "/vigil-a.12/web."}, {mark: "VIGIL_INSTANCE=a/web#", keeper: 1}} {
		for _, pid := range []int{os.Getpid(), 0, -1, 1 << 30} {
			if marked(h, pid) {
				t.Errorf("pid %d is taken for one of %+v", pid, h)
			}
		}
	}
}
