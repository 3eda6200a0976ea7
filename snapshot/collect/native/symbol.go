package native

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of the files whose symbols are read.
const (
	maxSymbolBytes = 64 << 20 // of one table
	maxImage       = 4 << 30
)

// symbols names addresses by the symbol tables of the files that are mapped.
type symbols struct {
	pid     int
	modules modules
	files   map[string]*image // by path, nil: it has none
}

// image is one file.
type image struct {
	progs []elf.ProgHeader
	funcs []elf.Symbol // by value
}

func newSymbols(pid int, m modules) *symbols {
	return &symbols{pid: pid, modules: m, files: map[string]*image{}}
}

// frames names those of a thread, until ctx is done; the others get their file and
// offset later. What a walk took for a return address, and is the begin of a
// function, is a pointer to it.
func (s *symbols) frames(ctx context.Context, th *thread) {
	kept := th.frames[:0]
	for i, f := range th.frames {
		if ctx.Err() == nil {
			f.Function = s.name(f.PC, i > 0)
			if i > 0 && f.Function != "" && s.name(f.PC, false) != f.Function {
				continue
			}
		}
		kept = append(kept, f)
	}
	th.frames = kept
}

// name is that of the function at pc, "" when there is none. After a call that
// does not return, the return address can belong to the next function already.
func (s *symbols) name(pc uint64, afterCall bool) string {
	if afterCall {
		pc--
	}
	m, ok := s.modules.at(pc)
	if !ok || m.inode == 0 {
		return ""
	}
	img, seen := s.files[m.path]
	if !seen {
		img, _ = s.open(m) // without symbols the frame keeps file and offset
		s.files[m.path] = img
	}
	if img == nil {
		return ""
	}
	return img.name(pc - m.start + m.offset)
}

func (s *symbols) open(m module) (*image, error) {
	path := fmt.Sprintf("/proc/%d/map_files/%x-%x", s.pid, m.start, m.end)
	file, err := openRegular(path)
	if err != nil {
		// Without CAP_CHECKPOINT_RESTORE: by name, and only if it is the same file.
		file, err = openRegular(fmt.Sprintf("/proc/%d/root%s", s.pid, strings.TrimSuffix(m.path, " (deleted)")))
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if !isInode(file, m.inode) {
		return nil, errors.New("another file has its name now")
	}
	f, err := elf.NewFile(file)
	if err != nil {
		return nil, err
	}
	return newImage(f), nil
}

// openRegular opens a regular file, and nothing that could block.
func openRegular(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if st, err := file.Stat(); err != nil || !st.Mode().IsRegular() || st.Size() > maxImage {
		_ = file.Close() // opened for reading
		return nil, errors.New("not a regular file of a usual size")
	}
	return file, nil
}

func isInode(file *os.File, inode uint64) bool {
	var st unix.Stat_t
	return unix.Fstat(int(file.Fd()), &st) == nil && st.Ino == inode
}

func newImage(f *elf.File) *image {
	img := &image{}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			img.progs = append(img.progs, p.ProgHeader)
		}
	}
	var all []elf.Symbol
	if tableFits(f, elf.SHT_SYMTAB) {
		all, _ = f.Symbols() // absent in a stripped file
	}
	if len(all) == 0 && tableFits(f, elf.SHT_DYNSYM) {
		all, _ = f.DynamicSymbols()
	}
	for _, sym := range all {
		if elf.ST_TYPE(sym.Info) == elf.STT_FUNC && sym.Value != 0 && sym.Section != elf.SHN_UNDEF {
			img.funcs = append(img.funcs, sym)
		}
	}
	slices.SortStableFunc(img.funcs, func(a, b elf.Symbol) int {
		switch {
		case a.Value < b.Value:
			return -1
		case a.Value > b.Value:
			return 1
		}
		return 0
	})
	return img
}

func tableFits(f *elf.File, kind elf.SectionType) bool {
	s := f.SectionByType(kind)
	return s != nil && s.Size <= maxSymbolBytes && s.FileSize <= maxSymbolBytes
}

// name is that of the function at an offset in the file.
func (img *image) name(offset uint64) string {
	for _, p := range img.progs {
		if offset < p.Off || offset-p.Off >= p.Filesz {
			continue
		}
		addr := offset - p.Off + p.Vaddr
		i, _ := slices.BinarySearchFunc(img.funcs, addr, func(s elf.Symbol, addr uint64) int {
			if s.Value <= addr {
				return -1
			}
			return 1
		})
		for ; i > 0; i-- {
			s := img.funcs[i-1]
			if s.Size == 0 || addr-s.Value < s.Size {
				return functionName(s.Name)
			}
			if i > 1 && img.funcs[i-2].Value != s.Value {
				break
			}
		}
	}
	return ""
}
