package binaries

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
)

// Bounds of what is read to identify an executable.
const (
	maxNote  = 1 << 20
	maxNotes = 64
	maxID    = 64      // bytes of a GNU build id; linkers make 16 to 32
	sampled  = 1 << 20 // of a file without any id, from each of its ends
)

// Kinds of ids.
const (
	kindGNU = "gnu-" // NT_GNU_BUILD_ID, in hex
	kindGo  = "go-"  // SHA-256 of the build id of Go's linker, which is long
	kindSum = "sum-" // SHA-256 of a file's ends and size
)

// Identify returns the id under which a file is kept: made of its GNU build id,
// else of its Go build id, else of its contents. The file is read only as far as
// needed.
func Identify(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot identify: %w", err)
	}
	defer func() { _ = file.Close() }() // opened for reading
	return identify(file)
}

func identify(file *os.File) (string, error) {
	if f, err := parse(file); err == nil {
		for _, p := range f.Progs {
			if p.Type != elf.PT_NOTE || p.Filesz > maxNote {
				continue
			}
			if data, err := io.ReadAll(io.LimitReader(p.Open(), maxNote)); err == nil {
				if id := idOfNotes(data); id != "" {
					return id, nil
				}
			}
		}
	}
	return sum(file)
}

// parse is elf.NewFile for data that nobody vouches for.
func parse(r io.ReaderAt) (f *elf.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("cannot parse ELF file: %v", p)
		}
	}()
	return elf.NewFile(r)
}

// idOfNotes looks for a build id in a note segment. GNU's is better known to
// other tools than Go's.
func idOfNotes(data []byte) string {
	found := ""
	eachNote(data, func(name string, kind uint32, desc []byte) bool {
		switch {
		case name == "GNU\x00" && kind == 3 && len(desc) > 0 && len(desc) <= maxID:
			found = kindGNU + hex.EncodeToString(desc)
			return false
		case name == "Go\x00\x00" && kind == 4 && len(desc) > 0:
			digest := sha256.Sum256(desc)
			found = kindGo + hex.EncodeToString(digest[:16])
		}
		return true
	})
	return found
}

// eachNote walks a note segment, elf(5), until use is false. It trusts no length.
func eachNote(data []byte, use func(name string, kind uint32, desc []byte) bool) {
	for range maxNotes {
		if len(data) < 12 {
			return
		}
		nameLen, size := uint64(binary.LittleEndian.Uint32(data)), uint64(binary.LittleEndian.Uint32(data[4:]))
		start := 12 + (nameLen+3)&^3
		end := start + size
		if end > uint64(len(data)) || !use(string(data[12:12+nameLen]), binary.LittleEndian.Uint32(data[8:]), data[start:end]) {
			return
		}
		data = data[min(uint64(len(data)), (end+3)&^3):]
	}
}

// sum identifies a file by its ends and its size.
func sum(file *os.File) (string, error) {
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("cannot identify: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("cannot identify %s: it is no regular file", file.Name())
	}
	h := sha256.New()
	size := info.Size()
	for _, at := range []int64{0, max(0, size-sampled)} {
		if _, err := io.Copy(h, io.NewSectionReader(file, at, sampled)); err != nil {
			return "", fmt.Errorf("cannot identify %s: %w", file.Name(), err)
		}
	}
	_, _ = fmt.Fprintln(h, size) // a hash takes everything
	return kindSum + hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// valid reports whether a text is an id, and so fit to be a file's name.
func valid(id string) bool {
	for _, kind := range []string{kindGNU, kindGo, kindSum} {
		if digits, ok := strings.CutPrefix(id, kind); ok {
			_, err := hex.DecodeString(digits)
			return err == nil && digits != "" && len(digits) <= 2*maxID
		}
	}
	return false
}
