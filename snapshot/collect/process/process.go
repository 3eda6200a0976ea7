package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// userHZ is the unit of times in /proc/PID/stat: 1/100 s on every architecture
// that Go supports, whatever CONFIG_HZ is.
const userHZ = 100

// maxText bounds one text file of /proc that is kept.
const maxText = 4 << 20

// reader collects one process and remembers what was refused.
type reader struct {
	dir string
	out *snapshot.Process
}

// Collect reads a process. The error says that it does not exist; everything
// less is in Denied.
func Collect(ctx context.Context, pid int) (snapshot.Process, error) {
	out := snapshot.Process{Schema: snapshot.SchemaVersion, PID: pid}
	r := reader{dir: filepath.Join("/proc", strconv.Itoa(pid)), out: &out}
	p, err := procfs.NewProc(pid)
	if err != nil {
		return out, fmt.Errorf("cannot read process %d: %w", pid, err)
	}
	st, err := p.Stat()
	if err != nil {
		return out, fmt.Errorf("cannot read process %d: %w", pid, err)
	}
	r.basics(st)
	for _, step := range []struct {
		name string
		run  func(context.Context)
	}{{"threads", r.threads}, {"descriptors", r.descriptors}, {"mappings", r.mappings}} {
		if ctx.Err() != nil {
			out.Denied = append(out.Denied, step.name+": the time was up")
			continue
		}
		step.run(ctx)
	}
	return out, nil
}

func (r reader) basics(st procfs.ProcStat) {
	o := r.out
	o.PPID, o.Comm, o.State = st.PPID, st.Comm, st.State
	o.StartTicks = st.Starttime
	o.UserTime = snapshot.Seconds(float64(st.UTime) / userHZ)
	o.SystemTime = snapshot.Seconds(float64(st.STime) / userHZ)
	o.RSS, o.VSize = int64(st.ResidentMemory()), int64(st.VirtualMemory())
	o.Status = r.lines("status", 256)
	for _, line := range o.Status {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch n, _ := strconv.Atoi(fields[0]); name {
		case "Uid":
			o.UID = n
		case "Gid":
			o.GID = n
		case "TracerPid":
			o.TracerPID = n
		}
	}
	o.Exe, o.Cwd = r.link("exe"), r.link("cwd")
	var more []snapshot.Masked
	o.Command, o.Masked = snapshot.ReportArguments(r.zeroTerminated("cmdline"))
	o.Environment, more = snapshot.ReportEnvironment(r.zeroTerminated("environ"))
	o.Masked = append(o.Masked, more...)
	o.Limits = r.lines("limits", 64)
	o.Cgroup = strings.TrimSpace(r.text("cgroup"))
	o.OOMScore, _ = strconv.Atoi(strings.TrimSpace(r.text("oom_score")))
}

// descriptors lists /proc/PID/fd.
func (r reader) descriptors(ctx context.Context) {
	entries, err := os.ReadDir(filepath.Join(r.dir, "fd"))
	if err != nil {
		r.deny("fd", err)
		return
	}
	r.out.FDCount = len(entries)
	for _, e := range entries[:min(len(entries), snapshot.MaxFDs)] {
		if ctx.Err() != nil {
			r.out.Denied = append(r.out.Denied, "fd: the time was up")
			return
		}
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		target, err := os.Readlink(filepath.Join(r.dir, "fd", e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		r.out.FDs = append(r.out.FDs, snapshot.FD{Number: n, Target: target})
	}
}

func (r reader) mappings(context.Context) { r.out.Maps = r.lines("maps", snapshot.MaxMaps) }

// text reads a file of the process, at most maxText bytes.
func (r reader) text(name string) string {
	data, err := readBounded(filepath.Join(r.dir, name))
	if err != nil {
		r.deny(name, err)
	}
	return string(data)
}

func (r reader) lines(name string, most int) []string {
	text := strings.TrimRight(r.text(name), "\n")
	if text == "" {
		return nil
	}
	list := strings.Split(text, "\n")
	return list[:min(len(list), most)]
}

func (r reader) zeroTerminated(name string) []string {
	text := strings.TrimRight(r.text(name), "\x00")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\x00")
}

func (r reader) link(name string) string {
	target, err := os.Readlink(filepath.Join(r.dir, name))
	if err != nil {
		r.deny(name, err)
	}
	return target
}

// needs says which capability opens a file that is refused, per proc(5).
func needs(name string) string {
	switch name {
	case "stack":
		return "needs CAP_SYS_ADMIN"
	case "environ", "syscall", "io", "auxv", "fd":
		return "needs the same uid and a dumpable process, or CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
	}
	return "needs the same uid and a dumpable process, or CAP_SYS_PTRACE"
}

func (r reader) deny(name string, err error) {
	for _, d := range r.out.Denied {
		if strings.HasPrefix(d, name+":") {
			return
		}
	}
	text := name + ": " + reason(err)
	if os.IsPermission(err) {
		text += " (" + needs(name) + ")"
	}
	r.out.Denied = append(r.out.Denied, text)
}
