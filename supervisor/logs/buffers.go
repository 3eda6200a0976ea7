package logs

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/pidfd"
)

// The memory that is shared with a successor: a page, the records, the data.
const (
	memoryMagic  = 0x4c49474956_01 // "VIGIL", version
	memoryChunks = 512             // 64 MiB, of which only what is in use takes memory
	recordSize   = int(unsafe.Sizeof(record{}))
	recordsAt    = 4096
	dataAt       = recordsAt + memoryChunks*recordSize
	memorySize   = dataAt + memoryChunks*chunkSize
	warmChunks   = 8 // free ones whose memory is not given back
)

// ErrMemoryInUse says that the process that last attached the memory is alive.
var ErrMemoryInUse = errors.New("logs: the memory of output belongs to another process")

// Buffers lends memory to the readers and queues of any number of services.
// The zero value is ready to use; its memory ends with the process.
type Buffers struct {
	own sync.Pool

	mu       sync.Mutex
	memory   []byte
	free     []int // numbers of chunks that nobody uses; the last is the warmest
	warm     int   // how many at the end of free have memory
	inherits []*chunk
	private  int64
}

// NewMemory makes memory for Attach, which survives this process if another one
// (the keeper) holds the descriptor too.
func NewMemory() (*os.File, error) {
	fd, err := unix.MemfdCreate("vigil-output", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("cannot make memory for output: %w", err)
	}
	f := os.NewFile(uintptr(fd), "memory of output")
	if err := unix.Ftruncate(fd, int64(memorySize)); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("cannot make memory for output: %w", err)
	}
	// Nobody can then make us fault.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("cannot seal memory for output: %w", err)
	}
	return f, nil
}

// Attach uses the memory that NewMemory made, in this process or in one that
// has ended; f stays the caller's. What a predecessor had read and not written
// is taken over by New of the same service and directory.
func Attach(f *os.File) (*Buffers, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot attach memory of output: %w", err)
	}
	if st.Size() != int64(memorySize) {
		return nil, fmt.Errorf("cannot attach memory of output: %d bytes, not %d", st.Size(), memorySize)
	}
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil || seals&unix.F_SEAL_SHRINK == 0 {
		return nil, errors.New("cannot attach memory of output: it may shrink")
	}
	memory, err := unix.Mmap(int(f.Fd()), 0, memorySize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("cannot map memory of output: %w", err)
	}
	b := &Buffers{memory: memory}
	if err := b.claim(); err != nil {
		_ = unix.Munmap(memory)
		return nil, err
	}
	b.scan()
	return b, nil
}

// Release lets another process attach the memory while this one still lives.
// Nobody here may use it any more: all Outputs are closed.
func (b *Buffers) Release() {
	if b.memory != nil {
		binary.NativeEndian.PutUint64(b.memory[8:16], 0)
	}
}

// detach ends the use of the shared memory: nobody may hold a chunk of it.
func (b *Buffers) detach() {
	_ = unix.Munmap(b.memory)
	b.memory, b.free = nil, nil
}

// claim makes this process the owner.
func (b *Buffers) claim() error {
	magic, pid, begun := b.memory[0:8], b.memory[8:16], b.memory[16:24]
	switch binary.NativeEndian.Uint64(magic) {
	case 0, memoryMagic:
	default:
		return errors.New("cannot attach memory of output: made by another version")
	}
	owner := int(binary.NativeEndian.Uint64(pid))
	if owner != 0 && owner != os.Getpid() {
		if pidfd.Same(owner, binary.NativeEndian.Uint64(begun)) {
			return fmt.Errorf("%w (pid %d)", ErrMemoryInUse, owner)
		}
	}
	ticks, err := pidfd.StartTicks(os.Getpid())
	if err != nil {
		return fmt.Errorf("cannot attach memory of output: %w", err)
	}
	binary.NativeEndian.PutUint64(magic, memoryMagic)
	binary.NativeEndian.PutUint64(pid, uint64(os.Getpid()))
	binary.NativeEndian.PutUint64(begun, ticks)
	return nil
}

// scan sorts the chunks into those that are free and those that wait.
func (b *Buffers) scan() {
	for i := memoryChunks - 1; i >= 0; i-- { // the lowest is taken first
		c := b.at(i)
		if c.state.Load() != used {
			b.free = append(b.free, i)
			continue
		}
		if !c.valid() {
			b.release(c)
			continue
		}
		c.settleRead()
		c.ready = c.end()
		b.inherits = append(b.inherits, c)
	}
	slices.SortFunc(b.inherits, func(x, y *chunk) int { return cmp.Compare(x.seq.Load(), y.seq.Load()) })
}

func (b *Buffers) at(i int) *chunk {
	r := (*record)(unsafe.Pointer(&b.memory[recordsAt+i*recordSize]))
	return &chunk{record: r, data: b.memory[dataAt+i*chunkSize:][:chunkSize:chunkSize], number: i}
}

// inherit returns the chunks that a predecessor left of an Output, oldest first.
func (b *Buffers) inherit(key [2]uint64) []*chunk {
	b.mu.Lock()
	defer b.mu.Unlock()
	var mine, others []*chunk
	for _, c := range b.inherits {
		if c.key[0].Load() == key[0] && c.key[1].Load() == key[1] {
			mine = append(mine, c)
		} else {
			others = append(others, c)
		}
	}
	b.inherits = others
	return mine
}

// Forget drops what a predecessor left of services that nobody has taken over,
// and returns how many bytes that were.
func (b *Buffers) Forget() (bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.inherits {
		bytes += int64(c.ready - c.start())
		b.release(c)
	}
	b.inherits = nil
	return bytes
}

// Private returns how many chunks had to be taken from memory that ends with
// this process although other memory was attached.
func (b *Buffers) Private() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.private
}

// take returns an empty chunk.
func (b *Buffers) take(key [2]uint64, seq uint64) *chunk {
	c := b.shared()
	if c == nil {
		c = b.aside()
	}
	c.reset(key, seq)
	return c
}

// aside returns a chunk of memory that ends with this process.
func (b *Buffers) aside() *chunk {
	if c, ok := b.own.Get().(*chunk); ok {
		return c
	}
	return &chunk{record: new(record), data: make([]byte, chunkSize), number: -1}
}

func (b *Buffers) shared() *chunk {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.free)
	if n == 0 {
		if b.memory != nil {
			b.private++
		}
		return nil
	}
	i := b.free[n-1]
	b.free, b.warm = b.free[:n-1], max(b.warm-1, 0)
	return b.at(i)
}

// put takes a chunk back.
func (b *Buffers) put(c *chunk) {
	if c.number < 0 {
		b.own.Put(c)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.release(c)
}

// release frees a chunk of the shared memory. Called with the lock held.
func (b *Buffers) release(c *chunk) {
	c.state.Store(free)
	if b.warm < warmChunks {
		b.warm++
	} else if err := unix.Madvise(c.data, unix.MADV_REMOVE); err != nil {
		// Only memory is wasted.
		b.warm++
	}
	b.free = append(b.free, c.number)
}

// keyOf names an Output within the memory.
func keyOf(path string) [2]uint64 {
	h := fnv.New128a()
	_, _ = h.Write([]byte(path))
	sum := h.Sum(nil)
	return [2]uint64{binary.BigEndian.Uint64(sum), binary.BigEndian.Uint64(sum[8:])}
}
