package spawn

import (
	"os/exec"
	"testing"
	"time"
)

// BenchmarkStart alternates Start and os/exec, so that a busy machine is busy
// for both, and reports how long each takes to return from its start and to the
// end of /bin/true.
func BenchmarkStart(b *testing.B) {
	var started, ended, execStarted, execEnded time.Duration
	for b.Loop() {
		begin := time.Now()
		_, pidfd, err := Start(New("/bin/true"))
		if err != nil {
			b.Fatal(err)
		}
		started += time.Since(begin)
		wait(b, pidfd)
		ended += time.Since(begin)

		cmd := exec.Command("/bin/true")
		begin = time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		execStarted += time.Since(begin)
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
		execEnded += time.Since(begin)
	}
	n := float64(b.N) * float64(time.Microsecond)
	b.ReportMetric(float64(started)/n, "start-us")
	b.ReportMetric(float64(ended)/n, "end-us")
	b.ReportMetric(float64(execStarted)/n, "exec-start-us")
	b.ReportMetric(float64(execEnded)/n, "exec-end-us")
}
