package python

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/collect/native"
)

// SourceMemory is the name of our own reading of the interpreter's memory.
const SourceMemory = "python-memory"

// Bounds of a reading.
const (
	maxInterpreters = 64
	maxLines        = 256 << 10 // of a location table
	maxMemory       = 200 * time.Millisecond
	ownedByC        = 3 // FRAME_OWNED_BY_CSTACK: an entry from C, no frame of Python
)

// byMemory reads the frames of all threads from the memory of the interpreter,
// while the process stands still. The program need not help.
func (c *collector) byMemory(ctx context.Context) bool {
	begin := time.Now()
	at, err := findRuntime(c.opt.PID)
	if err != nil {
		c.skip(err)
		return false
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", c.opt.PID))
	if err != nil {
		c.skip(err)
		return false
	}
	defer mem.Close()
	r := &reader{mem: mem, codes: map[uint64]code{}}
	head := make([]byte, words313*8)
	if _, err := mem.ReadAt(head, int64(at)); err != nil {
		c.skip(err)
		return false
	}
	if r.at, err = parseOffsets(head); err != nil {
		c.skip(err)
		return false
	}
	tasks := native.Tasks(c.opt.PID)
	taken, still := time.Now(), false
	err = native.Still(ctx, c.opt.PID, func(whole bool) {
		still = whole
		r.until = time.Now().Add(maxMemory)
		r.runtime(at)
	})
	if err != nil {
		r.until = time.Now().Add(maxMemory)
		r.runtime(at) // somebody else traces it: it may run meanwhile
	}
	if len(r.threads) == 0 {
		c.skip(errors.New("no thread was found in the interpreter"))
		return false
	}
	c.note(r, tasks, taken, still)
	c.result.Ran = append(c.result.Ran, snapshot.Ran{Name: SourceMemory, Result: "ok", Cost: snapshot.Seconds(time.Since(begin).Seconds())})
	return true
}

func (c *collector) skip(err error) {
	c.result.Ran = append(c.result.Ran, snapshot.Ran{Name: SourceMemory, Result: "skipped", Reason: err.Error()})
}

// note draws up what was read.
func (c *collector) note(r *reader, tasks []native.Task, taken time.Time, still bool) {
	s := c.stacks(r.threads, tasks, false)
	s.Source, s.Taken = SourceMemory, taken.UTC()
	if !still {
		s.Notes = append(s.Notes, "the process could not be stopped: a stack may be of two moments")
	}
	if r.late {
		s.Notes = append(s.Notes, "there were more frames than could be read in time")
	}
	if r.holder != 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("thread %d holds the lock of the interpreter (GIL)", r.holder))
	}
	c.result.Stacks = s
	v := r.at.version
	c.result.Report.Version = fmt.Sprintf("%d.%d.%d", v>>24, v>>16&0xff, v>>8&0xff)
}

// findRuntime finds the address of _PyRuntime.
func findRuntime(pid int) (uint64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 16<<20))
	if err != nil {
		return 0, err
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 6 || seen[fields[5]] || !strings.Contains(path.Base(fields[5]), "python") {
			continue
		}
		name := fields[5]
		seen[name] = true
		from, _, _ := strings.Cut(fields[0], "-")
		base, err := strconv.ParseUint(from, 16, 64) // the file's first mapping
		if err != nil {
			continue
		}
		if addr, ok := runtimeSection(fmt.Sprintf("/proc/%d/root%s", pid, name), base); ok {
			return addr, nil
		}
	}
	return 0, errors.New("no runtime of CPython was found in its files")
}

// runtimeSection is where the section .PyRuntime of a file lies in memory.
func runtimeSection(name string, base uint64) (uint64, bool) {
	t, err := openTail(name) // a regular file, and nothing that blocks
	if err != nil {
		return 0, false
	}
	defer t.file.Close()
	f, err := elf.NewFile(t.file)
	if err != nil || f.Class != elf.ELFCLASS64 {
		return 0, false
	}
	section := f.Section(".PyRuntime")
	if section == nil {
		return 0, false
	}
	if f.Type == elf.ET_EXEC {
		return section.Addr, true
	}
	return base + section.Addr, true
}

// reader follows the structures of the interpreter.
type reader struct {
	mem     *os.File
	at      offsets
	until   time.Time
	late    bool
	threads []thread
	holder  int64 // TID of the thread with the GIL, 0: none
	codes   map[uint64]code
}

// code is what is needed of a code object.
type code struct {
	file, name string
	first      int
	lines      []byte
}

func (r *reader) word(at uint64) uint64 {
	var b [8]byte
	if at>>47 != 0 {
		return 0
	}
	if _, err := r.mem.ReadAt(b[:], int64(at)); err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b[:])
}

// runtime reads every thread of every interpreter. The lists are those of another
// program: they are bounded, whatever they hold.
func (r *reader) runtime(at uint64) {
	interpreter := r.word(at + r.at.interpreters)
	for range maxInterpreters {
		if interpreter == 0 {
			return
		}
		var holder uint64
		if uint32(r.word(interpreter+r.at.gilLocked)) == 1 {
			holder = r.word(interpreter + r.at.gilHolder)
		}
		for state := r.word(interpreter + r.at.threads); state != 0 && len(r.threads) < maxThreads; state = r.word(state + r.at.nextThread) {
			if time.Now().After(r.until) {
				r.late = true
				return
			}
			th := thread{tid: int(r.word(state+r.at.nativeID) & 0x7fffffff)}
			r.frames(&th, r.word(state+r.at.frame))
			if state == holder {
				r.holder = int64(th.tid)
			}
			r.threads = append(r.threads, th)
		}
		interpreter = r.word(interpreter + r.at.nextInterpreter)
	}
}

// frames follows the frames of a thread, innermost first.
func (r *reader) frames(th *thread, at uint64) {
	for range 2 * maxFrames {
		if at == 0 {
			return
		}
		if len(th.frames) == maxFrames {
			break
		}
		raw, ok := r.frame(at)
		if !ok {
			return
		}
		if raw.owner != ownedByC {
			if f, ok := r.place(raw); ok {
				th.frames = append(th.frames, f)
			}
		}
		at = raw.previous
	}
	th.cut = true
}

// frame is what is needed of a frame.
type frame struct {
	previous, executable, instr uint64
	owner                       byte
}

// frame reads one at once: the process stands still meanwhile.
func (r *reader) frame(at uint64) (frame, bool) {
	var b [maxFrameSize]byte
	if _, err := r.mem.ReadAt(b[:], int64(at&(1<<47-1))); err != nil {
		return frame{}, false
	}
	word := func(offset uint64) uint64 { return binary.LittleEndian.Uint64(b[offset:]) }
	return frame{word(r.at.previous), word(r.at.executable), word(r.at.instr), b[r.at.owner]}, true
}

func (r *reader) place(raw frame) (snapshot.Frame, bool) {
	if raw.executable == 0 {
		return snapshot.Frame{}, false
	}
	c, ok := r.codes[raw.executable]
	if !ok {
		c = r.code(raw.executable)
		r.codes[raw.executable] = c
	}
	if c.name == "" {
		return snapshot.Frame{}, false
	}
	f := snapshot.Frame{Place: snapshot.Place{Function: c.name, File: c.file}}
	const unit = 2 // bytes of a code unit
	if begin := raw.executable + r.at.code; raw.instr >= begin && raw.instr-begin < maxOffset*unit {
		f.Line = lineAt(c.lines, c.first, int(raw.instr-begin)/unit)
	}
	return f, true
}

func (r *reader) code(object uint64) code {
	c := code{
		file: r.text(r.word(object + r.at.filename)), name: r.text(r.word(object + r.at.name)),
		first: int(uint32(r.word(object + r.at.first))),
	}
	table := r.word(object + r.at.lines)
	if size := r.word(table + r.at.bytesSize); table != 0 && size <= maxLines {
		c.lines = make([]byte, size)
		if _, err := r.mem.ReadAt(c.lines, int64(table+r.at.bytesData)); err != nil {
			c.lines = nil
		}
	}
	return c
}

// text reads a str: ASCII behind the head, else one, two or four bytes a character
// behind a longer head (Include/cpython/unicodeobject.h).
func (r *reader) text(object uint64) string {
	if object == 0 || object>>47 != 0 {
		return ""
	}
	state := r.word(object + r.at.textState)
	size := min(r.word(object+r.at.textLength), maxName)
	kind, compact, ascii := state>>2&7, state>>5&1 == 1, state>>6&1 == 1
	if !compact || kind != 1 && kind != 2 && kind != 4 {
		return ""
	}
	begin := object + r.at.textEnd
	if !ascii {
		begin += 16 // utf8_length and utf8 of PyCompactUnicodeObject
	}
	b := make([]byte, size*kind)
	if _, err := r.mem.ReadAt(b, int64(begin)); err != nil {
		return ""
	}
	return decode(b, int(kind))
}

func decode(b []byte, kind int) string {
	var out []rune
	switch kind {
	case 1:
		for _, c := range b {
			out = append(out, rune(c))
		}
	case 2:
		for i := 0; i+2 <= len(b); i += 2 {
			c := rune(binary.LittleEndian.Uint16(b[i:]))
			if utf16.IsSurrogate(c) {
				c = '?'
			}
			out = append(out, c)
		}
	case 4:
		for i := 0; i+4 <= len(b); i += 4 {
			out = append(out, rune(binary.LittleEndian.Uint32(b[i:])&0x1fffff))
		}
	}
	return strings.ToValidUTF8(string(out), "?")
}
