package recorder

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Layout of the memory: a head, then Size records.
const (
	Size      = 900 // samples: 15 minutes
	headSize  = 16  // magic, version, number of samples ever
	ringBytes = headSize + Size*recordSize
)

// magic is "vigilrec" in the order of this machine, and of this layout.
const magic = 0x7669_6769_6c72_0001

// Ring is the memory of one service. Its methods belong to one goroutine; Read
// may be used by others on the descriptor.
type Ring struct {
	f     *os.File
	count uint64 // samples ever
}

// New makes an empty ring.
func New() (*Ring, error) {
	fd, err := unix.MemfdCreate("vigil-recorder", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make memory for samples: %w", err)
	}
	r := &Ring{f: os.NewFile(uintptr(fd), "vigil-recorder")}
	if err := r.f.Truncate(ringBytes); err != nil {
		r.f.Close()
		return nil, fmt.Errorf("cannot make memory for samples: %w", err)
	}
	if err := r.writeHead(); err != nil {
		r.f.Close()
		return nil, err
	}
	return r, nil
}

// Open goes on with a ring that another has made. The error says that it is none.
func Open(f *os.File) (*Ring, error) {
	count, err := readHead(f)
	if err != nil {
		return nil, err
	}
	return &Ring{f, count}, nil
}

// File is the descriptor, for whoever shall keep the ring.
func (r *Ring) File() *os.File { return r.f }

// Close gives the descriptor back.
func (r *Ring) Close() error { return r.f.Close() }

// Add writes one sample over the oldest.
func (r *Ring) Add(s Sample) error {
	var b [recordSize]byte
	s.encode(b[:])
	if _, err := r.f.WriteAt(b[:], headSize+int64(r.count%Size)*recordSize); err != nil {
		return fmt.Errorf("cannot write a sample: %w", err)
	}
	r.count++
	return r.writeHead()
}

func (r *Ring) writeHead() error {
	var b [headSize]byte
	binary.NativeEndian.PutUint64(b[0:], magic)
	binary.NativeEndian.PutUint64(b[8:], r.count)
	if _, err := r.f.WriteAt(b[:], 0); err != nil {
		return fmt.Errorf("cannot write the head of the samples: %w", err)
	}
	return nil
}

func readHead(r io.ReaderAt) (count uint64, err error) {
	var b [headSize]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return 0, fmt.Errorf("cannot read samples: %w", err)
	}
	if binary.NativeEndian.Uint64(b[0:]) != magic {
		return 0, fmt.Errorf("cannot read samples: this is no memory of a recorder, or one of another version")
	}
	return binary.NativeEndian.Uint64(b[8:]), nil
}

// Read returns the samples, oldest first. It may be called while another writes:
// the sample that is written over meanwhile is left out.
func Read(r io.ReaderAt) ([]Sample, error) {
	count, err := readHead(r)
	if err != nil {
		return nil, err
	}
	body := make([]byte, Size*recordSize)
	if _, err := r.ReadAt(body, headSize); err != nil {
		return nil, fmt.Errorf("cannot read samples: %w", err)
	}
	after, err := readHead(r)
	if err != nil {
		return nil, err
	}
	first := uint64(0)
	if after >= Size { // the oldest can be in the middle of being written over
		first = after - Size + 1
	}
	var list []Sample
	for n := first; n < count && len(list) < Size; n++ {
		list = append(list, decode(body[n%Size*recordSize:]))
	}
	return list, nil
}
