package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unsafe"
)

// HeartbeatFD is the variable that tells a service which descriptor holds its
// page of activities, as a decimal number.
const HeartbeatFD = "VIGIL_HEARTBEAT_FD"

// Layout version 1 of a page of activities: a header and then slots, all
// numbers in the byte order of the machine. The page is a memfd sealed against
// any change of its size (F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL; memfd_create(2)),
// so that no access to a mapping of it can fault.
//
//	 0  8 bytes  magic
//	 8  u32      version
//	12  u32      size of the header in bytes
//	16  u32      size of a slot in bytes
//	20  u32      number of slots
//	24  u64      size of the page in bytes
//	32  32 bytes reserved, 0
const (
	// PageMagic begins every page.
	PageMagic = "VIGILHB\x00"
	// PageVersion is the layout that this package knows.
	PageVersion = 1
	// HeaderSize and SlotSize are in bytes.
	HeaderSize = 64
	SlotSize   = 64
	// DefaultSlots makes a page of exactly 4096 bytes.
	DefaultSlots = 63
	// MaxSlots makes a page of 64 MiB.
	MaxSlots = 1 << 20

	offMagic      = 0
	offVersion    = 8
	offHeaderSize = 12
	offSlotSize   = 16
	offSlotCount  = 20
	offPageSize   = 24
)

// The reasons for which a page is refused.
var (
	ErrPageMagic   = errors.New("wire: no page of activities: the magic is missing")
	ErrPageVersion = errors.New("wire: unknown layout version")
	ErrPageSize    = errors.New("wire: sizes do not agree")
)

// PageSize returns the bytes of a page of so many slots.
func PageSize(slots int) int { return HeaderSize + slots*SlotSize }

// PutHeader writes the header of a page of so many slots, 1 to MaxSlots, to the
// first HeaderSize bytes of b, which must be there.
func PutHeader(b []byte, slots int) {
	clear(b[:HeaderSize])
	copy(b[offMagic:], PageMagic)
	binary.NativeEndian.PutUint32(b[offVersion:], PageVersion)
	binary.NativeEndian.PutUint32(b[offHeaderSize:], HeaderSize)
	binary.NativeEndian.PutUint32(b[offSlotSize:], SlotSize)
	binary.NativeEndian.PutUint32(b[offSlotCount:], uint32(slots))
	binary.NativeEndian.PutUint64(b[offPageSize:], uint64(PageSize(slots)))
}

// CheckHeader returns how many slots the page has whose first bytes are b and
// whose file has size bytes. Whatever is not exactly layout version 1 of that
// size is refused with one of ErrPage...
func CheckHeader(b []byte, size int64) (slots int, err error) {
	if len(b) < HeaderSize || size < int64(PageSize(1)) {
		return 0, fmt.Errorf("cannot use a page of %d bytes: %w (the smallest has %d)", size, ErrPageSize, PageSize(1))
	}
	if string(b[offMagic:offMagic+len(PageMagic)]) != PageMagic {
		return 0, fmt.Errorf("cannot use the page: %w", ErrPageMagic)
	}
	if v := binary.NativeEndian.Uint32(b[offVersion:]); v != PageVersion {
		if bits.ReverseBytes32(v) == PageVersion {
			return 0, fmt.Errorf("cannot use the page: %w (of the other byte order)", ErrPageVersion)
		}
		return 0, fmt.Errorf("cannot use the page: %w %d (this library knows %d)", ErrPageVersion, v, PageVersion)
	}
	header := binary.NativeEndian.Uint32(b[offHeaderSize:])
	slot := binary.NativeEndian.Uint32(b[offSlotSize:])
	count := binary.NativeEndian.Uint32(b[offSlotCount:])
	total := binary.NativeEndian.Uint64(b[offPageSize:])
	if header != HeaderSize || slot != SlotSize || count < 1 || count > MaxSlots ||
		total != uint64(PageSize(int(count))) || total != uint64(size) {
		return 0, fmt.Errorf("cannot use the page: %w: %d bytes, header says %d + %d slots of %d = %d",
			ErrPageSize, size, header, count, slot, total)
	}
	return int(count), nil
}

// PageSlots returns the slots of a page that is mapped at page. The number is
// the caller's own: the one of CheckHeader once, or the one that it made the
// page with, for whatever the header says later is the word of others. A page
// that is too short or that begins at an odd address is an error.
func PageSlots(page []byte, slots int) ([]Words, error) {
	if slots < 1 || slots > MaxSlots || len(page) < PageSize(slots) {
		return nil, fmt.Errorf("cannot find %d slots in %d bytes: %w", slots, len(page), ErrPageSize)
	}
	at := unsafe.Pointer(&page[HeaderSize])
	if uintptr(at)%8 != 0 {
		return nil, fmt.Errorf("cannot use a page at %p: %w: not aligned to 8 bytes", at, ErrPageSize)
	}
	return unsafe.Slice((*Words)(at), slots), nil
}
