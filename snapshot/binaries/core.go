package binaries

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// ErrNoIdentity means that a core does not tell whose it is.
var ErrNoIdentity = errors.New("the core does not have the head of its executable")

// Types of the auxiliary vector, getauxval(3), and the note that holds it.
const (
	noteAuxv  = 6
	auxPhdr   = 3
	auxPhent  = 4
	auxPhnum  = 5
	maxPhnum  = 256
	phdrBytes = 56
	maxCore   = 64 << 20 // bytes of a core's notes
)

// OfCore returns the id of the executable whose core a file is, from the first
// page of that executable in it, which the kernel writes by default (bit 4 of
// coredump_filter, core(5)). Only an executable with a build id can be told so.
func OfCore(path string) (id string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("cannot parse core %s: %v", path, p)
		}
	}()
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot identify: %w", err)
	}
	defer func() { _ = file.Close() }() // opened for reading
	f, err := parse(file)
	if err != nil {
		return "", fmt.Errorf("cannot parse core %s: %w", path, err)
	}
	if id := idOfImage(f); id != "" {
		return id, nil
	}
	return "", ErrNoIdentity
}

// idOfImage finds the notes of the executable by its program headers in memory.
func idOfImage(f *elf.File) string {
	aux := auxv(f)
	if aux[auxPhdr] == 0 || aux[auxPhent] != phdrBytes || aux[auxPhnum] == 0 || aux[auxPhnum] > maxPhnum {
		return ""
	}
	heads := make([]byte, phdrBytes*aux[auxPhnum])
	if !memory(f, heads, aux[auxPhdr]) {
		return ""
	}
	var base uint64 // by which the executable was moved
	var notes [][2]uint64
	for h := range slices.Chunk(heads, phdrBytes) {
		addr, size := binary.LittleEndian.Uint64(h[16:]), binary.LittleEndian.Uint64(h[32:])
		switch elf.ProgType(binary.LittleEndian.Uint32(h)) {
		case elf.PT_PHDR:
			base = aux[auxPhdr] - addr
		case elf.PT_NOTE:
			notes = append(notes, [2]uint64{addr, size})
		}
	}
	for _, n := range notes {
		if n[1] == 0 || n[1] > maxNote {
			continue
		}
		data := make([]byte, n[1])
		if memory(f, data, n[0]+base) {
			if id := idOfNotes(data); id != "" {
				return id
			}
		}
	}
	return ""
}

// auxv reads the auxiliary vector of a core.
func auxv(f *elf.File) map[uint64]uint64 {
	out := map[uint64]uint64{}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || len(out) > 0 {
			continue
		}
		data, _ := io.ReadAll(io.LimitReader(p.Open(), maxCore))
		eachNote(data, func(_ string, kind uint32, desc []byte) bool {
			for len(desc) >= 16 && kind == noteAuxv {
				out[binary.LittleEndian.Uint64(desc)] = binary.LittleEndian.Uint64(desc[8:])
				desc = desc[16:]
			}
			return kind != noteAuxv
		})
	}
	return out
}

// memory reads from the segments of a core; false when it has not all of it.
func memory(f *elf.File, buf []byte, addr uint64) bool {
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && addr >= p.Vaddr && addr-p.Vaddr <= p.Filesz && p.Filesz-(addr-p.Vaddr) >= uint64(len(buf)) {
			n, err := p.ReadAt(buf, int64(addr-p.Vaddr))
			return n == len(buf) && (err == nil || errors.Is(err, io.EOF))
		}
	}
	return false
}
