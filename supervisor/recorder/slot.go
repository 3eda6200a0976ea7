package recorder

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync/atomic"
	"unsafe"
)

// Kept is how many samples, so seconds, a ring holds.
const Kept = 900

const (
	slotSize   = 20480 // whole pages of 4096 bytes
	headerSize = slotSize - Kept*(4+bodySize)
	version    = 2
	nameAt     = 8
	signsAt    = nameAt + MaxName
	signSize   = 64 // a byte of length, then the name

	// MaxName is the longest name of a service, in bytes.
	MaxName = 160
	// MaxSigns is how many signs of life a slot tells apart.
	MaxSigns = 8
	// MaxSignName is how much of a sign's name is kept, in bytes.
	MaxSignName = signSize - 1
)

// The header ends with the names of the signs.
const _ = -uint(headerSize - (signsAt + MaxSigns*signSize))

var errSlot = errors.New("cannot use a slot of samples: its header is not of this version")

// name of the service that the slot belongs to; "" when it is free.
func slotName(b []byte) (string, error) {
	if len(b) != slotSize {
		return "", errSlot
	}
	v, n := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:])
	if v == 0 {
		return "", nil
	}
	if v != version || n == 0 || n > MaxName {
		return "", errSlot
	}
	return string(b[nameAt : nameAt+n]), nil
}

// signName is the name of a slot's sign i; "" when the bit is free.
func signName(b []byte, i int) string {
	at := signsAt + i*signSize
	n := int(b[at])
	if n > MaxSignName {
		return ""
	}
	return string(b[at+1 : at+1+n])
}

// nameSign gives bit i to another sign: what was kept of the one before is
// cleared first, so that nothing of it is taken for the other's.
func nameSign(b []byte, i int, name string) {
	at := signsAt + i*signSize
	b[at] = 0
	for n := range Kept {
		body := b[headerSize+4*Kept+bodySize*n:]
		body[12] &^= 1 << i
		body[13] &^= 1 << i
	}
	copy(b[at+1:at+signSize], name)
	b[at] = byte(min(len(name), MaxSignName))
}

// claim clears a slot and gives it a name; the version comes last.
func claim(b []byte, name string) {
	free(b)
	clear(b[4:])
	binary.NativeEndian.PutUint32(b[4:], uint32(len(name)))
	copy(b[nameAt:], name)
	word(b, 0).Store(version)
}

func free(b []byte) { word(b, 0).Store(0) }

// word is the aligned word at offset: a slot begins on a page, and every offset
// that is asked for is a multiple of 4.
func word(b []byte, offset int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&b[offset])) }

func put(b []byte, s Sample) {
	i := int(s.Second % Kept)
	var body [bodySize]byte
	s.encode(&body)
	second := word(b, headerSize+4*i)
	second.Store(0)
	copy(b[headerSize+4*Kept+bodySize*i:], body[:])
	second.Store(s.Second)
}

// samples are those of the last Kept seconds until now, the oldest first. What
// does not fit its place, or is of another time, is left out.
func samples(b []byte, now uint32) []Sample {
	if len(b) != slotSize {
		return nil
	}
	var out []Sample
	for i := range Kept {
		second := binary.NativeEndian.Uint32(b[headerSize+4*i:])
		if second == 0 || second%Kept != uint32(i) || second > now || now-second >= Kept {
			continue
		}
		at := headerSize + 4*Kept + bodySize*i
		out = append(out, decode(second, b[at:at+bodySize]))
	}
	slices.SortFunc(out, func(a, b Sample) int { return int(int64(a.Second) - int64(b.Second)) })
	return out
}
