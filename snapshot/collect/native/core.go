package native

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// collectCore reads the stacks of a core.
func collectCore(ctx context.Context, opt Options) (Result, error) {
	head, err := readCoreHead(opt.Core)
	if err != nil {
		return Result{}, fmt.Errorf("cannot read the stacks of core %s: %w", opt.Core, err)
	}
	l := &ladder{rungs: []rung{
		{SourceEUStack, func(ctx context.Context) (*reading, error) {
			args := []string{"--core=" + opt.Core}
			if opt.Exe != "" {
				args = append(args, "-e", opt.Exe)
			}
			return runEUStack(ctx, args...)
		}},
		{SourceGDB, func(ctx context.Context) (*reading, error) {
			// A core named alone is taken for a program unless the option says it.
			args := []string{"--core=" + opt.Core}
			if opt.Exe != "" {
				args = append([]string{opt.Exe}, args...)
			}
			return runGDB(ctx, args...)
		}},
	}, after: func() []string { return nil }}
	best := l.climb(ctx)
	if best == nil {
		l.missing("no stacks of the core: %s", l.reasons())
		return l.result, nil
	}
	for i := range best.threads {
		th := &best.threads[i]
		th.crashed = th.tid == head.tid && head.signal != 0
	}
	core := &target{modules: head.modules}
	l.result.Dump = best.dump
	l.result.Stacks = core.stacks(best, opt.Runtime)
	l.result.Stacks.PID = opt.PID
	if head.signal != 0 {
		l.result.Stacks.Notes = append(l.result.Stacks.Notes, fmt.Sprintf("thread %d ended the process: %s", head.tid, signalName(head.signal)))
	}
	l.result.Stacks.Notes = append(l.result.Stacks.Notes, l.notes...)
	return l.result, nil
}

func signalName(sig int) string {
	return "signal " + fmt.Sprint(sig) + ", " + syscall.Signal(sig).String()
}

// coreHead is what the notes of a core tell.
type coreHead struct {
	tid     int // of the thread that the kernel writes first: the one that crashed
	signal  int // 0: none
	modules modules
}

// Sizes and offsets of notes in a core (include/uapi/linux/elfcore.h, 64 bits).
const (
	maxNotes     = 16 << 20
	ntPrstatus   = 1
	ntFile       = 0x46494c45
	prCursig     = 12
	prPID        = 32
	minPrstatus  = 36
	maxCoreFiles = 8192
)

func readCoreHead(path string) (coreHead, error) {
	file, err := os.Open(path)
	if err != nil {
		return coreHead{}, err
	}
	defer file.Close()
	if st, err := file.Stat(); err != nil || !st.Mode().IsRegular() {
		return coreHead{}, fmt.Errorf("not a regular file")
	}
	f, err := elf.NewFile(file)
	if err != nil {
		return coreHead{}, err
	}
	if f.Type != elf.ET_CORE || f.Class != elf.ELFCLASS64 || f.ByteOrder != binary.LittleEndian {
		return coreHead{}, fmt.Errorf("not a core of 64 bits, little endian")
	}
	var head coreHead
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(p.Open(), maxNotes))
		if err != nil {
			return coreHead{}, err
		}
		head.parse(text)
	}
	return head, nil
}

// parse reads notes: three words of sizes and type, then name and content, each
// padded to four bytes.
func (h *coreHead) parse(notes []byte) {
	const header = 12
	for len(notes) >= header {
		name := uint64(binary.LittleEndian.Uint32(notes))
		size := uint64(binary.LittleEndian.Uint32(notes[4:]))
		kind := binary.LittleEndian.Uint32(notes[8:])
		begin := header + (name+3)&^3
		end := begin + size
		if end > uint64(len(notes)) {
			return
		}
		content := notes[begin:end]
		switch {
		case kind == ntPrstatus && h.tid == 0 && size >= minPrstatus:
			h.tid = int(int32(binary.LittleEndian.Uint32(content[prPID:])))
			h.signal = int(int16(binary.LittleEndian.Uint16(content[prCursig:])))
		case kind == ntFile && h.modules == nil:
			h.modules = parseFileNote(content)
		}
		notes = notes[min((end+3)&^3, uint64(len(notes))):]
	}
}

// parseFileNote reads NT_FILE: count and page size, three words for each mapping
// (start, end, offset in pages), then the names.
func parseFileNote(b []byte) modules {
	if len(b) < 16 {
		return nil
	}
	count, page := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	if count > maxCoreFiles || page > 1<<20 || uint64(len(b)) < 16+24*count {
		return nil
	}
	names := strings.Split(string(b[16+24*count:]), "\x00")
	base := map[string]uint64{}
	var list modules
	for i := range count {
		if i >= uint64(len(names)) {
			break
		}
		at := b[16+24*i:]
		m := module{start: binary.LittleEndian.Uint64(at), end: binary.LittleEndian.Uint64(at[8:]), offset: binary.LittleEndian.Uint64(at[16:]) * page, path: clip(names[i], maxPath)}
		if len(list) > 0 && m.start < list[len(list)-1].end || m.end <= m.start {
			continue // not in order: the search needs it
		}
		if _, ok := base[m.path]; !ok {
			base[m.path] = m.start
		}
		m.base = base[m.path]
		list = append(list, m)
	}
	return list
}
