package recorder

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MaxSlots bounds the services that are recorded.
const MaxSlots = 4096

// Memory is the memory of all rings. It has one owner, who calls it from one
// goroutine.
type Memory struct {
	f     *os.File
	slots [][]byte
	names map[string]int
}

// New makes memory without a slot.
func New() (*Memory, error) {
	fd, err := unix.MemfdCreate("vigil-recorder", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("cannot make memory for samples: %w", err)
	}
	f := os.NewFile(uintptr(fd), "vigil-recorder")
	// Nobody can take pages away from under our mapping.
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot seal memory for samples: %w", err)
	}
	return &Memory{f: f, names: map[string]int{}}, nil
}

// Open takes memory that a process before has written, and owns f when it
// worked. A slot that cannot be used is free.
func Open(f *os.File) (*Memory, error) {
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot use memory for samples: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot use memory for samples: %w", err)
	}
	size := info.Size()
	if seals&unix.F_SEAL_SHRINK == 0 || size%slotSize != 0 || size > MaxSlots*slotSize {
		return nil, fmt.Errorf("cannot use memory for samples: %d bytes with seals %#x are not of this version", size, seals)
	}
	m := &Memory{f: f, names: map[string]int{}}
	for i := range int(size / slotSize) {
		if err := m.mapSlot(i); err != nil {
			m.unmap()
			return nil, err
		}
		name, err := slotName(m.slots[i])
		if _, twice := m.names[name]; err != nil || twice {
			free(m.slots[i])
			continue
		}
		if name != "" {
			m.names[name] = i
		}
	}
	return m, nil
}

// File is what a successor opens.
func (m *Memory) File() *os.File { return m.f }

// Claim gives the service a slot, unless it has one.
func (m *Memory) Claim(service string) error {
	if _, ok := m.names[service]; ok {
		return nil
	}
	_, err := m.take(service)
	return err
}

// Put keeps a sample of a service, which gets a slot with its first.
func (m *Memory) Put(service string, s Sample) error {
	if err := m.Claim(service); err != nil {
		return err
	}
	put(m.slots[m.names[service]], s)
	return nil
}

// Samples are the service's of the last Kept seconds until now, oldest first.
func (m *Memory) Samples(service string, now uint32) []Sample {
	i, ok := m.names[service]
	if !ok {
		return nil
	}
	return samples(m.slots[i], now)
}

// Signs are the names of the service's signs, by the bits of Seen and Late; ""
// where a bit is free.
func (m *Memory) Signs(service string) (names [MaxSigns]string) {
	if i, ok := m.names[service]; ok {
		for bit := range names {
			names[bit] = signName(m.slots[i], bit)
		}
	}
	return names
}

// NameSign gives a bit of the service's samples, which exist, to a sign. Its name
// is cut to MaxSignName.
func (m *Memory) NameSign(service string, bit int, name string) {
	if i, ok := m.names[service]; ok && bit >= 0 && bit < MaxSigns {
		nameSign(m.slots[i], bit, name[:min(len(name), MaxSignName)])
	}
}

// Forget gives the service's slot to whoever comes next.
func (m *Memory) Forget(service string) {
	if i, ok := m.names[service]; ok {
		free(m.slots[i])
		delete(m.names, service)
	}
}

// Close gives the memory back; another's descriptor keeps what is in it.
func (m *Memory) Close() error {
	m.unmap()
	return m.f.Close()
}

func (m *Memory) unmap() {
	for _, b := range m.slots {
		_ = unix.Munmap(b) // fails only for what is no mapping
	}
	m.slots, m.names = nil, map[string]int{}
}

func (m *Memory) take(service string) (int, error) {
	if service == "" || len(service) > MaxName {
		return 0, fmt.Errorf("cannot record a service: its name has %d bytes", len(service))
	}
	used := make(map[int]bool, len(m.names))
	for _, i := range m.names {
		used[i] = true
	}
	i := 0
	for used[i] {
		i++
	}
	if i >= MaxSlots {
		return 0, fmt.Errorf("cannot record %s: %d services are recorded", service, MaxSlots)
	}
	if i == len(m.slots) {
		if err := m.f.Truncate(int64(i+1) * slotSize); err != nil {
			return 0, fmt.Errorf("cannot grow memory for samples: %w", err)
		}
		if err := m.mapSlot(i); err != nil {
			return 0, err
		}
	}
	claim(m.slots[i], service)
	m.names[service] = i
	return i, nil
}

func (m *Memory) mapSlot(i int) error {
	b, err := unix.Mmap(int(m.f.Fd()), int64(i)*slotSize, slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("cannot map memory for samples: %w", err)
	}
	m.slots = append(m.slots, b)
	return nil
}
