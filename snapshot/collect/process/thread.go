package process

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// threads reads /proc/PID/task.
func (r reader) threads(ctx context.Context) {
	entries, err := os.ReadDir(filepath.Join(r.dir, "task"))
	if err != nil {
		r.deny("task", err)
		return
	}
	r.out.ThreadCount = len(entries)
	taskFS, err := procfs.NewFS(filepath.Join(r.dir, "task"))
	if err != nil {
		r.deny("task", err)
		return
	}
	for _, e := range entries[:min(len(entries), snapshot.MaxThreads)] {
		if ctx.Err() != nil {
			r.out.Denied = append(r.out.Denied, "task: the time was up")
			return
		}
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if t, ok := r.thread(taskFS, tid); ok {
			r.out.Threads = append(r.out.Threads, t)
		}
	}
}

func (r reader) thread(taskFS procfs.FS, tid int) (snapshot.Thread, bool) {
	t := snapshot.Thread{TID: tid}
	p, err := taskFS.Proc(tid)
	if err != nil {
		return t, false // ended meanwhile
	}
	st, err := p.Stat()
	if err != nil {
		return t, false
	}
	t.Comm, t.State = st.Comm, st.State
	t.UserTime = snapshot.Seconds(float64(st.UTime) / userHZ)
	t.SystemTime = snapshot.Seconds(float64(st.STime) / userHZ)
	task := reader{dir: filepath.Join(r.dir, "task", strconv.Itoa(tid)), out: r.out}
	if w := strings.TrimSpace(task.text("wchan")); w != "0" {
		t.Wchan = w
	}
	t.Syscall = syscallText(task.text("syscall"))
	for _, line := range task.lines("stack", 64) {
		t.KernelStack = append(t.KernelStack, kernelFrame(line))
	}
	for _, line := range task.lines("status", 256) {
		if v, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
			t.Voluntary, _ = strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		}
		if v, ok := strings.CutPrefix(line, "nonvoluntary_ctxt_switches:"); ok {
			t.Involuntary, _ = strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		}
	}
	return t, true
}

// syscallText is a line of /proc/PID/syscall without the stack and program
// counters at its end: "running", "-1", or "NUMBER ARG ARG ARG ARG ARG ARG".
func syscallText(line string) string {
	fields := strings.Fields(line)
	if len(fields) > 7 {
		fields = fields[:7]
	}
	return strings.Join(fields, " ")
}

// kernelFrame strips the address of "[<0>] futex_wait+0x1d/0x2c0".
func kernelFrame(line string) string {
	if _, name, ok := strings.Cut(line, "] "); ok {
		return name
	}
	return line
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxText))
	return data, errors.Join(err, file.Close())
}

// reason is an error without the path, which its reader knows.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
