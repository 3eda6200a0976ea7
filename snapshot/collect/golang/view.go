package golang

import (
	"os"

	"golang.org/x/sys/unix"
)

// view is the memory of an image, mapped where that goes: marking reads at
// random, and one system call for each object would take minutes. What is mapped
// must not be cut meanwhile; a core and an executable in use are not.
type view struct {
	image *image
	files map[*os.File][]byte
}

// maxMapped bounds what is mapped of one file.
const maxMapped = 8 << 30

func newView(m *image) *view {
	v := &view{image: m, files: map[*os.File][]byte{}}
	for _, list := range [][]segment{m.segments, m.constant} {
		for _, s := range list {
			if _, known := v.files[s.file]; !known {
				v.files[s.file] = mapped(s.file)
			}
		}
	}
	return v
}

// mapped maps a file, or returns nil: then it is read.
func mapped(f *os.File) []byte {
	info, err := f.Stat()
	if err != nil || info.Size() <= 0 || info.Size() > maxMapped {
		return nil
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return data
}

func (v *view) close() {
	for _, data := range v.files {
		if data != nil {
			_ = unix.Munmap(data)
		}
	}
}

// bytes returns memory of the length of buf: a part of a mapping, else buf.
func (v *view) bytes(addr uint64, buf []byte) ([]byte, error) {
	s := v.image.segment(addr)
	if s != nil && s.end-addr >= uint64(len(buf)) {
		at := uint64(s.at) + addr - s.start
		if data := v.files[s.file]; at+uint64(len(buf)) <= uint64(len(data)) {
			return data[at:][:len(buf)], nil
		}
	}
	return buf, v.image.read(buf, addr)
}
