package golang

import (
	"encoding/binary"
	"fmt"
	"go/constant"
	"reflect"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// enders are the functions of the runtime by which a program ends, with what
// kind of end that is, the surest first.
var enders = []struct{ function, kind string }{
	{"runtime.fatalpanic", snapshot.CrashPanic},
	{"runtime.throw", snapshot.CrashError},
	{"runtime.fatal", snapshot.CrashError},
	{"runtime.fatalthrow", snapshot.CrashError},
	{"runtime.sigpanic", snapshot.CrashSignal},
}

// maxMessage bounds what a crash says.
const maxMessage = 500

// crash finds the goroutine that ended the program, and why.
func (r *reading) crash() {
	for _, e := range enders {
		for _, s := range r.order {
			if at := slices.IndexFunc(s.frames, func(f proc.Stackframe) bool { return f.Current.Fn != nil && f.Current.Fn.Name == e.function }); at >= 0 {
				r.blame(s, e.kind, at)
				return
			}
		}
	}
	// A program that no function of the runtime ended can have been ended by a
	// signal: of C, or of somebody else.
	if sig, addr, thread := r.signalNote(); sig > 0 && fault(sig) {
		r.out.Crash = &snapshot.Crash{Kind: snapshot.CrashSignal, Signal: unix.SignalName(sig), Address: addr}
		r.blameThread(thread)
	}
}

// blame fills the crash from the goroutine at the frame of an ender.
func (r *reading) blame(s *sample, kind string, at int) {
	c := &snapshot.Crash{Kind: kind, Goroutine: s.Sample}
	s.Crashed, s.special = true, true
	switch kind {
	case snapshot.CrashPanic:
		c.Message = r.panicMessage(s.state.panics)
	case snapshot.CrashError:
		c.Message = r.thrown(s, at)
	}
	r.fault(c, s)
	if f, ok := analyze.OwnFrame(s.Frames); ok {
		place := f.Place
		c.Frame = &place
	}
	c.Message, _ = snapshot.MaskText(oneLine(c.Message))
	r.out.Crash = c
}

// fault adds the signal that the runtime turned into a panic: it keeps it in the
// goroutine.
func (r *reading) fault(c *snapshot.Crash, s *sample) {
	if !slices.ContainsFunc(s.Frames, func(f snapshot.Frame) bool { return f.Function == "runtime.sigpanic" }) || s.state.addr == 0 {
		return
	}
	f, err := r.gFields()
	if err != nil || f.sig == absent {
		return
	}
	c.Signal = unix.SignalName(unix.Signal(uint32(r.word(s.state.addr + f.sig))))
	if f.sigcode1 != absent {
		c.Address = r.word(s.state.addr + f.sigcode1)
	}
}

// panicMessage is the value of the innermost panic. By the time the runtime
// gives up it has made a string of errors and Stringers, preprintpanics of
// runtime/panic.go.
func (r *reading) panicMessage(addr uint64) string {
	if addr == 0 {
		return ""
	}
	v, err := r.eval(fmt.Sprintf("(*(*runtime._panic)(%#x)).arg", addr))
	if err != nil || v.Unreadable != nil {
		return ""
	}
	if len(v.Children) == 1 && v.Children[0].Kind == reflect.String && v.Children[0].Value != nil {
		data := &v.Children[0]
		return r.mem.text(data.Addr, maxMessage)
	}
	return showOne(v).Value
}

// thrown is the argument of runtime.throw or runtime.fatal.
func (r *reading) thrown(s *sample, at int) string {
	for ; at < len(s.frames); at++ {
		if fn := s.frames[at].Current.Fn; fn == nil || fn.Name != "runtime.throw" && fn.Name != "runtime.fatal" {
			continue
		}
		scope := proc.FrameToScope(r.target, r.target.Memory(), s.g, 0, s.frames[at:]...)
		cfg := load()
		cfg.MaxStringLen = maxMessage
		list, err := scope.FunctionArguments(cfg)
		if err != nil {
			return ""
		}
		for _, v := range list {
			if v.Name == "s" && v.Value != nil && v.Value.Kind() == constant.String {
				return constant.StringVal(v.Value)
			}
		}
	}
	return ""
}

// Notes and offsets of a core, linux/elfcore.h and siginfo of sigaction(2).
const (
	noteStatus  = 1          // NT_PRSTATUS
	noteSiginfo = 0x53494749 // NT_SIGINFO
)

// signalNote is the signal that ended the process, as the kernel's core has it,
// with the address that the fault was about and the thread that got it.
func (r *reading) signalNote() (sig unix.Signal, addr uint64, thread int) {
	if d := r.mem.note(noteSiginfo); len(d) >= 24 {
		sig = unix.Signal(binary.LittleEndian.Uint32(d))
		if fault(sig) {
			addr = binary.LittleEndian.Uint64(d[16:])
		}
	}
	if d := r.mem.note(noteStatus); len(d) >= 36 {
		if sig == 0 {
			sig = unix.Signal(binary.LittleEndian.Uint16(d[12:]))
		}
		thread = int(binary.LittleEndian.Uint32(d[32:]))
	}
	return sig, addr, thread
}

// fault reports whether a signal is one of those that a program's own fault
// raises.
func fault(sig unix.Signal) bool {
	switch sig {
	case unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS:
		return true
	}
	return false
}

// blameThread marks the goroutine of the thread that a signal hit.
func (r *reading) blameThread(tid int) {
	for _, th := range r.out.Threads {
		if th.TID != tid {
			continue
		}
		r.out.Crash.Goroutine = th.Goroutine
		if f, ok := analyze.OwnFrame(th.Frames); ok {
			place := f.Place
			r.out.Crash.Frame = &place
		}
	}
	for _, s := range r.order {
		if s.Sample == r.out.Crash.Goroutine && s.Sample != 0 {
			s.Crashed, s.special = true, true
		}
	}
}

func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool { return c == '\n' || c == '\r' }), " ")
}
