package capture

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
)

// layout is the plan of a core file: header, program headers, notes, then the
// mappings, each at a page boundary. Pages that are not there are holes.
type layout struct {
	notes    []byte
	segments []segment
	size     int64
}

type segment struct {
	mapping
	at int64 // in the file
}

// plan places the mappings after room for the notes.
func plan(notes []byte, wanted []mapping) layout {
	l := layout{notes: notes}
	at := alignPage(uint64(64+56*(len(wanted)+1)) + uint64(len(notes)))
	for _, m := range wanted {
		l.segments = append(l.segments, segment{m, int64(at)})
		at += m.end - m.start
	}
	l.size = int64(at)
	return l
}

// pieces cuts the present pages of all segments.
func (l layout) pieces(p *pages) []piece {
	var list []piece
	for _, s := range l.segments {
		for _, r := range p.present(s.mapping) {
			for at := r.start; at < r.end; at += pieceSize {
				list = append(list, piece{span{at, min(at+pieceSize, r.end)}, s.at + int64(at-s.start)})
			}
		}
	}
	return list
}

// writeHead writes everything before the mappings and sets the file's size.
func (l layout) writeHead(file *os.File) error {
	var b bytes.Buffer
	count := len(l.segments) + 1
	head := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_CORE), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: uint16(count),
	}
	put(&b, head)
	put(&b, elf.Prog64{Type: uint32(elf.PT_NOTE), Off: uint64(64 + 56*count), Filesz: uint64(len(l.notes)), Align: 4})
	for _, s := range l.segments {
		put(&b, elf.Prog64{
			Type: uint32(elf.PT_LOAD), Flags: s.flags(), Off: uint64(s.at), Vaddr: s.start,
			Filesz: s.end - s.start, Memsz: s.end - s.start, Align: pageSize,
		})
	}
	b.Write(l.notes)
	if _, err := file.WriteAt(b.Bytes(), 0); err != nil {
		return err
	}
	return file.Truncate(l.size)
}

// put appends a fixed-size value. Writing one to a bytes.Buffer cannot fail.
func put(b *bytes.Buffer, v any) { _ = binary.Write(b, binary.LittleEndian, v) }

func (m mapping) flags() uint32 {
	var flags elf.ProgFlag
	if m.perm[0] == 'r' {
		flags |= elf.PF_R
	}
	if m.perm[1] == 'w' {
		flags |= elf.PF_W
	}
	if m.perm[2] == 'x' {
		flags |= elf.PF_X
	}
	return uint32(flags)
}

func alignPage(n uint64) uint64 { return (n + pageSize - 1) &^ (pageSize - 1) }
