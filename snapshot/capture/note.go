package capture

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// Note types of a core, linux/elf.h.
const (
	noteStatus = 1          // NT_PRSTATUS
	noteInfo   = 3          // NT_PRPSINFO
	noteAuxv   = 6          // NT_AUXV
	noteFile   = 0x46494c45 // NT_FILE
)

// identity is what a core tells about its process.
type identity struct {
	pid     int
	comm    string
	auxv    []byte
	exePath string    // as /proc/PID/exe and /proc/PID/maps show it
	exe     []mapping // the mappings of files: the executable and its libraries
}

// encodeNotes writes the note segment. The first thread is the current one.
func encodeNotes(id identity, threads []*thread) []byte {
	var b bytes.Buffer
	for i, t := range threads {
		putNote(&b, "CORE", noteStatus, encodeStatus(id.pid, t))
		if i == 0 {
			putNote(&b, "CORE", noteInfo, encodeInfo(id))
			putNote(&b, "CORE", noteAuxv, id.auxv)
			putNote(&b, "CORE", noteFile, encodeFiles(id.exe))
		}
		if len(t.extra) > 0 {
			putNote(&b, extraName, extraSet, t.extra)
		}
	}
	return b.Bytes()
}

// encodeStatus makes a struct elf_prstatus; offsets are the same on amd64 and arm64.
func encodeStatus(pid int, t *thread) []byte {
	d := make([]byte, prstatusLen)
	binary.LittleEndian.PutUint32(d[32:], uint32(t.tid))
	binary.LittleEndian.PutUint32(d[40:], uint32(pid)) // pgrp, for want of the real one
	copy(d[112:112+registers], t.regs)
	return d
}

// encodeInfo makes a struct elf_prpsinfo.
func encodeInfo(id identity) []byte {
	d := make([]byte, 136)
	binary.LittleEndian.PutUint32(d[24:], uint32(id.pid))
	copy(d[40:55], id.comm)
	return d
}

func encodeFiles(list []mapping) []byte {
	var b bytes.Buffer
	put(&b, []uint64{uint64(len(list)), pageSize})
	for _, m := range list {
		put(&b, []uint64{m.start, m.end, m.offset / pageSize})
	}
	for _, m := range list {
		b.WriteString(m.path)
		b.WriteByte(0)
	}
	return b.Bytes()
}

func putNote(b *bytes.Buffer, name string, kind uint32, desc []byte) {
	put(b, []uint32{uint32(len(name) + 1), uint32(len(desc)), kind})
	b.WriteString(name)
	b.WriteByte(0)
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
	b.Write(desc)
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}

// note is one entry of a note segment.
type note struct {
	name string
	kind uint32
	desc []byte
}

// parseNotes decodes a note segment, elf(5). It trusts no length in it.
func parseNotes(data []byte) ([]note, error) {
	var list []note
	for len(data) > 0 {
		if len(data) < 12 {
			return list, errors.New("cannot parse notes: cut header")
		}
		nameLen, descLen := uint64(binary.LittleEndian.Uint32(data)), uint64(binary.LittleEndian.Uint32(data[4:]))
		kind := binary.LittleEndian.Uint32(data[8:])
		descAt := 12 + (nameLen+3)&^3
		end := descAt + (descLen+3)&^3
		if descAt+descLen > uint64(len(data)) {
			return list, fmt.Errorf("cannot parse notes: entry of %d bytes in %d", descAt+descLen, len(data))
		}
		list = append(list, note{string(bytes.TrimRight(data[12:12+nameLen], "\x00")), kind, data[descAt : descAt+descLen]})
		data = data[min(end, uint64(len(data))):]
	}
	return list, nil
}

// maxNotes bounds what OwnerOf reads.
const maxNotes = 64 << 20

// OwnerOf returns the process id that the core at path names in NT_PRPSINFO,
// and those of its threads in NT_PRSTATUS.
func OwnerOf(path string) (pid int, tids []int, err error) {
	file, err := elf.Open(path)
	if err != nil {
		return 0, nil, fmt.Errorf("cannot open core %s: %w", path, err)
	}
	defer func() { _ = file.Close() }() // opened for reading
	if file.Type != elf.ET_CORE {
		return 0, nil, fmt.Errorf("cannot read core %s: it is not a core but %v", path, file.Type)
	}
	for _, p := range file.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > maxNotes {
			continue
		}
		data := make([]byte, p.Filesz)
		if _, err := p.ReadAt(data, 0); err != nil {
			return 0, nil, fmt.Errorf("cannot read notes of core %s: %w", path, err)
		}
		notes, err := parseNotes(data)
		if err != nil {
			return 0, nil, fmt.Errorf("cannot read core %s: %w", path, err)
		}
		pid, tids = owners(notes)
	}
	if pid == 0 {
		return 0, nil, fmt.Errorf("cannot read core %s: it names no process", path)
	}
	return pid, tids, nil
}

func owners(notes []note) (pid int, tids []int) {
	for _, n := range notes {
		switch {
		case n.name == "CORE" && n.kind == noteInfo && len(n.desc) >= 28:
			pid = int(binary.LittleEndian.Uint32(n.desc[24:]))
		case n.name == "CORE" && n.kind == noteStatus && len(n.desc) >= 36:
			tids = append(tids, int(binary.LittleEndian.Uint32(n.desc[32:])))
		}
	}
	return pid, tids
}
