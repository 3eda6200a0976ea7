package spawn

import (
	"os/exec"
	"testing"
)

// The benchmarks measure from the start to the end of /bin/true, whose main is
// empty, for a supervisor's usual wishes; os/exec can fulfil only some of them.

func BenchmarkStart(b *testing.B) {
	spec := New("/bin/true")
	spec.Setsid = true
	spec.OOMScoreAdj = new(int)
	for b.Loop() {
		_, pidfd, err := Start(spec)
		if err != nil {
			b.Fatal(err)
		}
		wait(b, pidfd)
	}
}

func BenchmarkStartPlain(b *testing.B) {
	spec := New("/bin/true")
	for b.Loop() {
		_, pidfd, err := Start(spec)
		if err != nil {
			b.Fatal(err)
		}
		wait(b, pidfd)
	}
}

func BenchmarkOSExec(b *testing.B) {
	for b.Loop() {
		cmd := exec.Command("/bin/true")
		cmd.Env = []string{}
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
	}
}
