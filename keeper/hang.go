package keeper

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/pidfd"
	"github.com/vigil-supervisor/vigil/internal/spawn"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// Bounds of the capture of a supervisor. It is ended after hangPatience,
// whatever has come of the capture by then.
const (
	hangBudget   = 5 * time.Second // of the freeze
	hangPatience = 10 * time.Second
	hangMaxCore  = 512 << 20 // bytes of its memory
)

// hang is the capture of a supervisor that gives no sign of life. Files and
// the start of the helper are made by a goroutine, since a disk may hang as
// well; the loop only waits for its word, for the end of the helper, or for
// the deadline.
type hang struct {
	sup      int // pid of the supervisor
	helper   int // pid of vigil-capture, 0: not started
	pidfd    pidfd.FD
	deadline time.Duration
}

func (h *hang) next() time.Duration {
	if h == nil {
		return 0
	}
	return h.deadline
}

// hangStarted is what came of starting the helper; pid 0: there is none.
type hangStarted struct {
	hang  *hang
	pid   int
	pidfd pidfd.FD
	err   error
}

// beatTimeout is how long a supervisor may be silent.
func (k *Keeper) beatTimeout() time.Duration {
	if k.opt.BeatTimeout > 0 {
		return k.opt.BeatTimeout
	}
	return beatTimeout
}

// onSilence ends a supervisor that gives no sign of life. Its evidence comes
// first, unless somebody waits for the end of all, or it has only lost us.
func (k *Keeper) onSilence(now time.Duration) {
	silent := (now - k.sup.lastBeat).Round(time.Millisecond)
	k.sup.lastBeat = now
	switch {
	case k.hang != nil:
	case k.sup.unlinked || k.sup.ended || k.quit != nil || k.stopAsked() || k.stopping != nil || k.reload != nil:
		fmt.Fprintf(os.Stderr, "vigil: supervisor pid %d gave no sign for %v; ending it\n", k.sup.pid, k.beatTimeout())
		k.endSupervisor()
	default:
		fmt.Fprintf(os.Stderr, "vigil: supervisor pid %d gave no sign for %v; taking its stacks, at most %v, then ending it\n", k.sup.pid, k.beatTimeout(), hangPatience)
		k.beginHang(now, silent)
	}
}

func (k *Keeper) endSupervisor() {
	k.sup.ended = true
	if k.sup.alive() {
		_ = k.sup.pidfd.Signal(syscall.SIGKILL)
	}
}

func (k *Keeper) beginHang(now, silent time.Duration) {
	h := &hang{sup: k.sup.pid, deadline: now + hangPatience}
	k.hang = h
	report := protocol.Hang{
		PID: k.sup.pid, Epoch: k.sup.epoch, Version: k.sup.version, Time: time.Now().UTC(), Boot: now,
		Silent: silent, Uptime: now - k.sup.startedAt,
	}
	report.Ticks, _ = pidfd.StartTicks(k.sup.pid)
	// The supervisor may end, and its pidfd be closed, before the helper has it.
	target, err := unix.FcntlInt(uintptr(k.sup.pidfd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		k.endHang(err)
		return
	}
	helper, root := k.opt.CaptureHelper, filepath.Join(k.opt.StateDir, protocol.HangDir)
	k.inFlight++
	go func() {
		r := hangStarted{hang: h}
		r.pid, r.pidfd, r.err = startCapture(helper, root, report, target)
		unix.Close(target)
		select {
		case k.hangs <- r:
		case <-k.ctx.Done():
			r.end()
		}
	}()
}

// end kills the helper, should there be one.
func (r hangStarted) end() {
	if r.pid != 0 {
		_ = r.pidfd.Signal(syscall.SIGKILL)
		r.pidfd.Close()
	}
}

// startCapture makes the directory of a capture and starts vigil-capture on it.
func startCapture(helper, root string, report protocol.Hang, target int) (int, pidfd.FD, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return 0, 0, fmt.Errorf("cannot keep the evidence: %w", err)
	}
	waiting, err := os.ReadDir(root)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot keep the evidence: %w", err)
	}
	if len(waiting) >= protocol.MaxHangs {
		return 0, 0, fmt.Errorf("cannot keep the evidence: %d captures wait in %s already", len(waiting), root)
	}
	dir := filepath.Join(root, report.Time.Format("20060102T150405.000000Z"))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, 0, fmt.Errorf("cannot keep the evidence: %w", err)
	}
	if helper == "" {
		report.Missing = "vigil-capture was not found"
	}
	data, err := json.Marshal(report)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, protocol.HangFile), data, 0o600)
	}
	if err != nil || helper == "" {
		return 0, 0, err
	}
	words, err := os.OpenFile(filepath.Join(dir, protocol.HangWords), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot keep the evidence: %w", err)
	}
	defer words.Close()
	spec := spawn.New(helper)
	if spec.NoNewPrivs = true; mayBound() {
		spec.Bounding = protocol.TakingRights
	}
	spec.Args = []string{"vigil-capture", "freeze", "--pid", strconv.Itoa(report.PID), "--start-ticks", strconv.FormatUint(report.Ticks, 10),
		"--pidfd", "3", "--dir", dir, "--budget", hangBudget.String(), "--max-core", strconv.Itoa(hangMaxCore)}
	spec.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOTRACEBACK=single"}
	spec.Dir, spec.Stderr, spec.Extra, spec.Setsid = "/", int(words.Fd()), []int{target}, true
	pid, fd, err := spawn.Start(spec)
	return pid, pidfd.FD(fd), err
}

// onHangStarted takes the word of the goroutine.
func (k *Keeper) onHangStarted(r hangStarted) {
	defer k.startDone()
	if k.hang != r.hang {
		r.end() // too late
		return
	}
	if r.pid == 0 {
		k.endHang(r.err)
		return
	}
	k.hang.helper, k.hang.pidfd = r.pid, r.pidfd
	k.kickReaper()
	if d, ok := k.early[r.pid]; ok {
		delete(k.early, r.pid)
		k.onHangDeath(d)
	}
}

// onHangDeath takes the end of the helper; it reports whether it was one.
func (k *Keeper) onHangDeath(d death) bool {
	if k.hang == nil || k.hang.helper == 0 || d.pid != k.hang.helper {
		return false
	}
	if !d.ended() {
		return true
	}
	var err error
	if ws := syscall.WaitStatus(d.exit.Status); !ws.Exited() || ws.ExitStatus() != 0 {
		err = fmt.Errorf("vigil-capture ended with %s", describeStatus(ws))
	}
	k.hang.helper = 0 // its pid is free from now on
	k.hang.pidfd.Close()
	k.endHang(err)
	return true
}

// goOnHang ends a capture that takes too long.
func (k *Keeper) goOnHang(now time.Duration) {
	if k.hang != nil && now >= k.hang.deadline {
		k.endHang(fmt.Errorf("it was not done after %v", hangPatience))
	}
}

// endHang ends the supervisor, with its evidence or without.
func (k *Keeper) endHang(err error) {
	h := k.hang
	k.hang = nil
	if err != nil {
		fmt.Fprintf(os.Stderr, "vigil: no stacks of supervisor pid %d: %v\n", h.sup, err)
	}
	if h.helper != 0 {
		hangStarted{pid: h.helper, pidfd: h.pidfd}.end()
	}
	if k.sup.pid == h.sup {
		k.sup.lastBeat = clock.Boot()
		k.endSupervisor()
	}
}
