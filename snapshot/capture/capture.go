package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Options of a capture.
type Options struct {
	Core     string // path of the core to write, mode 0600; "" copies no memory
	MaxBytes int64  // most bytes of memory to copy; 0: no limit
	// Released is called once, as soon as the target runs again: from then on
	// it may be killed. It is not called when the target could not be frozen: then
	// there may be another way.
	Released func()
	// Twin is called with the pid of the twin, before Released: its parent, which
	// is the target's, hears of its end.
	Twin   func(pid int)
	NoTwin bool // copy the target while it stands
	_      struct{}
}

// Registers are where a thread stood.
type Registers struct {
	TID    int
	PC, SP uint64
}

// Result is what a capture has.
type Result struct {
	Freeze  snapshot.Freeze
	Threads []Registers
	Core    bool     // the core was written, maybe not whole: see Missing
	Missing []string // sentences
}

// Take freezes the target, copies its memory into a core, and frees it. The
// deadline of ctx bounds the pause. With an error the target is free too; the
// result then holds what there was; errors wrap ErrGone, ErrReused,
// ErrTraced, ErrDenied or the context's.
func Take(ctx context.Context, target Target, opt Options) (res Result, err error) {
	onOwnThread(func() { res, err = take(ctx, target, opt) })
	return res, err
}

// onOwnThread runs work on an OS thread that ends with it: ptrace belongs to
// one OS thread, and its end frees whatever could not be detached.
func onOwnThread(work func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread never ends. Keep it busy and take another.
			onOwnThread(work)
			runtime.UnlockOSThread()
			return
		}
		work()
	}()
	<-done
}

func take(ctx context.Context, target Target, opt Options) (res Result, err error) {
	res.Freeze.Method = "none"
	target, err = target.Identify()
	if err != nil {
		return res, err
	}
	file, err := createCore(opt.Core)
	if err != nil {
		return res, err
	}
	defer func() { discard(file) }()
	id := identify(target.PID) // before the pause
	page := openPages(target.PID)
	defer page.close()
	var code returnCode
	if opt.Core != "" && !opt.NoTwin {
		code = findReturnCode(target.PID)
	}
	t := &taking{target: target, opt: opt, id: id, code: code, page: page, file: &file, res: &res}
	err = t.run(ctx)
	return res, err
}

// taking is one capture under way.
type taking struct {
	target Target
	opt    Options
	id     identity
	code   returnCode
	page   *pages
	file   **os.File // the core, nil when no memory is copied
	res    *Result
	start  time.Duration // of the pause, CLOCK_BOOTTIME
}

// run freezes the target and goes down the ladder: a twin, which is copied while
// the target runs on; else a copy while it stands.
func (t *taking) run(ctx context.Context) error {
	t.start = clock.Boot()
	if ctx.Err() != nil {
		return fmt.Errorf("cannot freeze process %d: the budget was spent before: %w", t.target.PID, ctx.Err())
	}
	f, err := freeze(ctx, t.target)
	if err == nil {
		t.res.Freeze.Threads = len(f.threads)
		// The pid could have passed to another process before it was stopped.
		_, err = t.target.Identify()
	}
	if err != nil || *t.file == nil {
		t.release(f)
		if err == nil {
			t.res.Freeze.Method = "stop"
			t.tell()
		}
		return err
	}
	if twin := t.makeTwin(f); twin != nil {
		return t.byTwin(f, twin)
	}
	return t.byCopy(ctx, f)
}

// makeTwin returns nil when there is none, and notes why.
func (t *taking) makeTwin(f *frozen) *twin {
	if t.opt.NoTwin {
		t.refuse(snapshot.RungTwin, "it was not asked for")
		return nil
	}
	twin, err := f.makeTwin(t.code)
	if err != nil {
		t.refuse(snapshot.RungTwin, err.Error())
		return nil
	}
	return twin
}

func (t *taking) refuse(rung, why string) {
	t.res.Freeze.Refused = append(t.res.Freeze.Refused, snapshot.Refusal{Rung: rung, Reason: strings.TrimPrefix(why, errNoTwin.Error()+": ")})
}

// release frees the target. What was known of its threads stays known.
func (t *taking) release(f *frozen) []*thread {
	threads := slices.Clone(f.threads)
	f.release()
	t.res.Freeze.Pause = snapshot.SecondsOf(clock.Boot() - t.start)
	t.res.Threads = positions(threads)
	return threads
}

// tell says that the target may be killed now.
func (t *taking) tell() {
	if t.opt.Released != nil {
		t.opt.Released()
	}
}

// maxFileNotes bounds the mappings of files that a core names.
const maxFileNotes = 4096

// twinTime bounds the copy of a twin, which nothing waits for.
const twinTime = 5 * time.Minute

// byTwin copies the twin while the target runs on, or dies.
func (t *taking) byTwin(f *frozen, twin *twin) error {
	defer twin.end()
	threads := t.release(f)
	if t.opt.Twin != nil {
		t.opt.Twin(twin.pid)
	}
	if err := twin.empty(f); err != nil {
		t.res.Missing = append(t.res.Missing, err.Error())
	}
	t.tell()
	ctx, cancel := context.WithTimeout(context.Background(), twinTime)
	defer cancel()
	page := openPages(twin.pid)
	defer page.close()
	l, c, err := copyMemory(ctx, twin.pid, 1, threads, t.id, page, *t.file, t.opt.MaxBytes, t.res)
	if err != nil {
		return err
	}
	c.wait()
	t.res.Freeze.Method = snapshot.RungTwin
	return finish(c, l, t.file, t.opt.Core, t.res)
}

// byCopy copies the target while it stands.
func (t *taking) byCopy(ctx context.Context, f *frozen) error {
	l, c, err := copyMemory(ctx, t.target.PID, workers, f.threads, t.id, t.page, *t.file, t.opt.MaxBytes, t.res)
	t.release(f)
	t.tell()
	if err != nil {
		return err
	}
	c.wait()
	t.res.Freeze.Method = snapshot.RungCopy
	return finish(c, l, t.file, t.opt.Core, t.res)
}

// copyMemory starts the workers and returns when they are through or the time is
// up; in that case they still have to be waited for.
func copyMemory(ctx context.Context, pid, workers int, threads []*thread, id identity, page *pages, file *os.File, most int64, res *Result) (layout, *copier, error) {
	all, dropped, err := readMappings(pid)
	if err != nil {
		return layout{}, nil, err
	}
	if dropped > 0 {
		res.Missing = append(res.Missing, fmt.Sprintf("%d memory mappings are not in the core: more than %d, or not readable", dropped, maxMappings))
	}
	var wanted []mapping
	for _, m := range all {
		if m.inode != 0 && strings.HasPrefix(m.path, "/") && len(id.exe) < maxFileNotes {
			id.exe = append(id.exe, m) // a debugger finds libraries by them
		}
		switch {
		case m.wanted():
			wanted = append(wanted, m)
		case m.isHead():
			head := m
			head.end = m.start + pageSize
			wanted = append(wanted, head)
		}
	}
	l := plan(encodeNotes(id, leaderFirst(threads, id.pid)), wanted)
	pieces := l.pieces(page)
	if most <= 0 {
		most = 1<<63 - 1
	}
	c := newCopier(pid, file, most)
	c.start(pieces, workers)
	select {
	case <-c.done:
	case <-ctx.Done():
		c.stop.Store(true)
		left := len(pieces) - min(int(c.next.Load()), len(pieces))
		res.Missing = append(res.Missing, fmt.Sprintf("memory is incomplete: the budget was spent with about %d of %d pieces still to copy", left, len(pieces)))
	}
	return l, c, nil
}

// finish completes the core after the target was released.
func finish(c *copier, l layout, file **os.File, path string, res *Result) error {
	res.Freeze.Bytes = c.copied.Load()
	if err := c.failure(); err != nil {
		res.Missing = append(res.Missing, fmt.Sprintf("memory is incomplete: %v", err))
	}
	if n := c.lost.Load(); n > 0 {
		res.Missing = append(res.Missing, fmt.Sprintf("%d bytes of memory could not be read", n))
	}
	if err := l.writeHead(*file); err != nil {
		return fmt.Errorf("cannot write core %s: %w", path, err)
	}
	temporary := (*file).Name()
	if err := (*file).Close(); err != nil {
		return fmt.Errorf("cannot write core %s: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("cannot write core %s: %w", path, err)
	}
	*file = nil
	res.Core = true
	return nil
}

func createCore(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.OpenFile(path+".tmp", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot create core: %w", err)
	}
	return file, nil
}

// discard removes a core that was not finished.
func discard(file *os.File) {
	if file != nil {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}
}

// identify reads what the notes of the core need; all of it may be absent.
func identify(pid int) identity {
	id := identity{pid: pid}
	dir := fmt.Sprintf("/proc/%d", pid)
	comm, _ := os.ReadFile(filepath.Join(dir, "comm"))
	id.comm = strings.TrimSpace(string(comm))
	id.auxv, _ = os.ReadFile(filepath.Join(dir, "auxv"))
	id.exePath, _ = os.Readlink(filepath.Join(dir, "exe"))
	return id
}

// leaderFirst puts the thread that a reader shows first to the front.
func leaderFirst(threads []*thread, pid int) []*thread {
	list := slices.Clone(threads)
	for i, t := range list {
		if t.tid == pid {
			list[0], list[i] = list[i], list[0]
		}
	}
	return list
}

func positions(threads []*thread) []Registers {
	var list []Registers
	for _, t := range threads {
		if len(t.regs) == registers {
			list = append(list, Registers{t.tid, binary.LittleEndian.Uint64(t.regs[pcAt:]), binary.LittleEndian.Uint64(t.regs[spAt:])})
		}
	}
	return list
}

// Late reports whether a capture ended because its time was up.
func Late(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
