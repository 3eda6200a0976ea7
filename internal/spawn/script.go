package spawn

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/spawn/nofile"
)

// maxSteps bounds the steps that do not depend on the length of a list.
const maxSteps = 200

// signalCount is the number of signals of Linux on amd64 and arm64 (_NSIG).
const signalCount = 64

// mark is what a human and the caller need to know of one entry.
type mark struct {
	stage  Stage
	object string
}

// script is the list of system calls of a child, being written.
type script struct {
	arena   *arena
	entries []entry // in the arena
	marks   []mark
}

// arenaSize returns an upper bound of what spec needs.
func arenaSize(spec *Spec) int {
	n := int(frameSize) + childStack + 4096
	n += int(entrySize) * stepBound(spec)
	n += sizeOf(spec.Args) + sizeOf(spec.Env) + len(spec.Path) + len(spec.Dir)
	n += len(spec.Env) * pidRoom // every entry may carry a pid
	n += 32 * len(spec.Rlimits)
	if c := spec.Credential; c != nil {
		n += 4 * len(c.Groups)
	}
	return n
}

// pidRoom is the room for a pid in decimal.
const pidRoom = 20

func stepBound(spec *Spec) int {
	return maxSteps + len(spec.Extra) + len(spec.Rlimits) + len(spec.Env)
}

// newScript reserves the entries for spec.
func newScript(a *arena, spec *Spec) *script {
	n := stepBound(spec)
	b := a.room(n * int(entrySize))
	return &script{arena: a, entries: unsafe.Slice((*entry)(unsafe.Pointer(unsafe.SliceData(b))), n)}
}

// add appends a system call.
func (s *script) add(stage Stage, object string, nr uintptr, args ...uintptr) *entry {
	e := &s.entries[len(s.marks)]
	e.nr = nr
	copy(e.args[:], args)
	s.marks = append(s.marks, mark{stage, object})
	return e
}

// address returns the address of entry i.
func (s *script) address(i int) uintptr {
	return uintptr(unsafe.Pointer(&s.entries[i]))
}

// at returns the index of the entry at address p.
func (s *script) at(p uintptr) int {
	return int((p - s.address(0)) / entrySize)
}

// write appends all that spec asks for. The first entry is the cgroup's if
// there is one; it is left out when the clone itself takes care of the cgroup.
func (s *script) write(spec *Spec, d *descriptors) {
	if spec.Cgroup >= 0 {
		s.add(StageCgroup, "the cgroup", unix.SYS_WRITE, 0, s.arena.text("0", 0), 1)
	}
	s.signals()
	s.surroundings(spec)
	s.descriptors(d)
	s.rlimits(spec.Rlimits)
	if spec.Bounding != nil {
		s.bounding(*spec.Bounding)
	}
	if spec.Credential != nil {
		s.credential(spec.Credential)
	}
	if spec.NoNewPrivs {
		s.add(StageNoNewPrivs, "no_new_privs", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1)
	}
	if spec.Dir != "" {
		s.add(StageChdir, spec.Dir, unix.SYS_CHDIR, s.arena.text(spec.Dir, 0))
	}
	env := s.environment(spec)
	args := spec.Args
	if len(args) == 0 {
		args = []string{spec.Path}
	}
	argv := s.arena.texts(args)
	none := address(s.arena.room(8))
	s.add(StageMask, "the signal mask", unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, none, 0, 8)
	s.add(StageExec, spec.Path, unix.SYS_EXECVE, s.arena.text(spec.Path, 0), argv, env)
}

// signals resets every disposition, those that the caller ignores included: a
// daemon started below nohup would ignore HUP for ever.
func (s *script) signals() {
	action := address(s.arena.room(32)) // struct sigaction, SIG_DFL
	for n := uintptr(1); n <= signalCount; n++ {
		if n == uintptr(unix.SIGKILL) || n == uintptr(unix.SIGSTOP) {
			continue
		}
		s.add(StageSignals, "the signal dispositions", unix.SYS_RT_SIGACTION, n, action, 0, 8)
	}
}

// surroundings are the attributes that need no descriptor of the caller.
func (s *script) surroundings(spec *Spec) {
	if spec.Setsid {
		s.add(StageSession, "a session", unix.SYS_SETSID)
	}
	if spec.Umask >= 0 {
		s.add(StageUmask, fmt.Sprintf("umask %04o", spec.Umask), unix.SYS_UMASK, uintptr(spec.Umask))
	}
	if spec.Nice != nil {
		s.add(StageNice, fmt.Sprintf("nice %d", *spec.Nice),
			unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, uintptr(*spec.Nice))
	}
	if spec.OOMScoreAdj != nil {
		s.oom(strconv.Itoa(*spec.OOMScoreAdj))
	}
}

// bounding drops every capability that is not in the set.
func (s *script) bounding(keep uint64) {
	for c := uintptr(0); c <= lastCapability(); c++ {
		if keep&(1<<c) == 0 {
			s.add(StageBounding, "capability "+strconv.Itoa(int(c)), unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c)
		}
	}
}

// lastCapability is the highest one of this kernel: 40 since Linux 5.9, by
// <linux/capability.h>. One that the kernel does not have cannot be dropped.
var lastCapability = sync.OnceValue(func() uintptr {
	text, err := os.ReadFile("/proc/sys/kernel/cap_last_cap") // since Linux 3.2
	if err != nil {
		return unix.CAP_LAST_CAP
	}
	last, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 6)
	if err != nil {
		return unix.CAP_LAST_CAP
	}
	return uintptr(last)
})

// oom writes oom_score_adj. /proc/self is the child's. The descriptor is
// close-on-exec and needs no close.
func (s *script) oom(value string) {
	object := "oom_score_adj " + value
	cwd := unix.AT_FDCWD
	open := s.add(StageOOM, object, unix.SYS_OPENAT, uintptr(cwd),
		s.arena.text("/proc/self/oom_score_adj", 0), unix.O_WRONLY|unix.O_CLOEXEC)
	write := s.add(StageOOM, object, unix.SYS_WRITE, 0, s.arena.text(value, 0), uintptr(len(value)))
	open.store = uintptr(unsafe.Pointer(&write.args[0]))
}

// descriptors moves every source to its number and makes the rest
// close-on-exec, which is more than close: an error can still be reported.
func (s *script) descriptors(d *descriptors) {
	names := [3]string{"stdin", "stdout", "stderr"}
	for i, fd := range d.source {
		stage, object := StageExtra, "descriptor "+strconv.Itoa(i)
		if i < len(names) {
			stage, object = StageStdio, names[i]
		}
		s.add(stage, object, unix.SYS_DUP3, uintptr(fd), uintptr(i), 0)
	}
	e := s.add(StageCloseRange, "the other descriptors", unix.SYS_CLOSE_RANGE,
		uintptr(len(d.source)), uintptr(^uint32(0)), unix.CLOSE_RANGE_CLOEXEC)
	// ENOSYS before Linux 5.9, EINVAL before 5.11, EPERM from an old seccomp
	// filter.
	e.tolerate = 1<<uint(unix.ENOSYS) | 1<<uint(unix.EINVAL) | 1<<uint(unix.EPERM)
}

// rlimits come after the descriptors, which a low RLIMIT_NOFILE would refuse.
func (s *script) rlimits(list []Rlimit) {
	files := false
	for _, r := range list {
		files = files || r.Resource == unix.RLIMIT_NOFILE
		s.rlimit(r)
	}
	if files {
		return
	}
	var now unix.Rlimit
	soft, hard, ok := nofile.Inherited()
	if !ok || unix.Getrlimit(unix.RLIMIT_NOFILE, &now) != nil || now.Cur <= soft {
		return
	}
	s.rlimit(Rlimit{Resource: unix.RLIMIT_NOFILE, Soft: soft, Hard: min(hard, now.Max)})
}

func (s *script) rlimit(r Rlimit) {
	b := s.arena.room(16)
	binary.NativeEndian.PutUint64(b, r.Soft)
	binary.NativeEndian.PutUint64(b[8:], r.Hard)
	s.add(StageRlimit, fmt.Sprintf("resource limit %d to %d:%d", r.Resource, r.Soft, r.Hard),
		unix.SYS_PRLIMIT64, 0, uintptr(r.Resource), address(b), 0)
}

// credential drops rights: groups first, the user last. These system calls are
// per thread in the kernel, so the caller's threads keep theirs.
func (s *script) credential(c *Credential) {
	groups := s.arena.room(4 * len(c.Groups))
	for i, g := range c.Groups {
		binary.NativeEndian.PutUint32(groups[4*i:], g)
	}
	s.add(StageGroups, "supplementary groups", unix.SYS_SETGROUPS, uintptr(len(c.Groups)), address(groups))
	gid, uid := uintptr(c.GID), uintptr(c.UID)
	s.add(StageGID, "group "+strconv.Itoa(int(c.GID)), unix.SYS_SETRESGID, gid, gid, gid)
	s.add(StageUID, "user "+strconv.Itoa(int(c.UID)), unix.SYS_SETRESUID, uid, uid, uid)
}

// environment stores Env and, for every entry that ends in the mark, adds the
// step that writes the pid there.
func (s *script) environment(spec *Spec) uintptr {
	if spec.PIDMark == "" {
		return s.arena.texts(spec.Env)
	}
	vector := s.arena.room(8 * (len(spec.Env) + 1))
	for i, v := range spec.Env {
		head, marked := strings.CutSuffix(v, spec.PIDMark)
		if !marked {
			putWord(vector, i, s.arena.text(v, 0))
			continue
		}
		at := s.arena.text(head, pidRoom)
		putWord(vector, i, at)
		s.add(StagePID, "the pid into the environment", nrPutPID, at+uintptr(len(head)))
	}
	return address(vector)
}

// check refuses what the kernel would misread. It returns the object, or "".
func check(spec *Spec) (object string, errno syscall.Errno) {
	for _, s := range append([]string{spec.Path, spec.Dir}, append(spec.Args, spec.Env...)...) {
		if strings.IndexByte(s, 0) >= 0 {
			return fmt.Sprintf("%q, which has a NUL in it,", s), syscall.EINVAL
		}
	}
	if !strings.Contains(spec.Path, "/") {
		return fmt.Sprintf("program %q, which has no slash,", spec.Path), syscall.EINVAL
	}
	for _, v := range spec.Env {
		if spec.PIDMark != "" && strings.Contains(strings.TrimSuffix(v, spec.PIDMark), spec.PIDMark) {
			return fmt.Sprintf("%q, where the pid is not at the end,", v), syscall.EINVAL
		}
	}
	return "", 0
}
