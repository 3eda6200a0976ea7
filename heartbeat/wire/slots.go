package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// A slot of layout version 1.
//
//	 0  u64      pulse: beats << 8 | state, always stored as one
//	 8  u64      timeout in ns; 0: none of its own
//	16  u32      pid of the claimer, as it sees it; 0: unknown
//	20  u32      tid of the thread that does the work; 0: unknown
//	24  u32      serial, raised by each claim
//	28  u32      reserved
//	32  32 bytes name, UTF-8, padded with NUL
const (
	// MaxSlotName is the longest name in bytes.
	MaxSlotName = 32

	offPulse   = 0
	offTimeout = 8
	offPID     = 16
	offTID     = 20
	offSerial  = 24
	offName    = 32
)

// The words of a slot, as indices of Words.
const (
	WordPulse   = offPulse / 8
	WordTimeout = offTimeout / 8
	WordThread  = offPID / 8    // pid and tid, in this order in memory
	WordSerial  = offSerial / 8 // serial and the reserved half
	WordName    = offName / 8   // the first of four

	// OneBeat is what a beat adds to the pulse.
	OneBeat = 1 << 8
)

// SlotState is the lowest byte of a pulse.
type SlotState uint8

// The states of a slot.
const (
	Free     SlotState = iota
	Claimed            // being filled in: nothing but the pulse is to be read
	Idle               // nothing to do: healthy without beats, for ever
	Busy               // at work: must beat within its timeout
	Stopping           // winding up: as Busy, within the time that the service has to stop
)

var slotStates = [...]string{Free: "free", Claimed: "claimed", Idle: "idle", Busy: "busy", Stopping: "stopping"}

// String returns the name of the state in lower case, or its number.
func (s SlotState) String() string {
	if int(s) < len(slotStates) {
		return slotStates[s]
	}
	return "state " + strconv.Itoa(int(s))
}

// ErrSlot is the reason for which the content of a slot is refused: its length
// or its state is none.
var ErrSlot = errors.New("wire: not a slot")

// Slot is what one slot says. All of it is the word of the program that wrote
// it: a pid or tid is to be checked by whoever acts on it.
type Slot struct {
	Pulse   uint64        // Beats and State as they were stored; two unequal ones are a sign of life
	State   SlotState     // of Pulse
	Beats   uint64        // of Pulse: 56 bits, then it begins again at 0
	Timeout time.Duration // 0: none of its own; at most MaxInterval
	PID     uint32        // 0: unknown
	TID     uint32        // 0: unknown
	Serial  uint32        // another one is another activity
	Name    string        // at most MaxSlotName bytes of clean text (see CleanText); may be empty
}

// DecodeSlot reads the SlotSize bytes of one slot. Of a slot that is Free or
// Claimed, and with an error, only Pulse, State and Beats are set: the rest is
// what an earlier activity left, or garbage. b is not referred to afterwards.
func DecodeSlot(b []byte) (Slot, error) {
	if len(b) != SlotSize {
		return Slot{}, fmt.Errorf("cannot decode %d bytes: %w", len(b), ErrSlot)
	}
	pulse := binary.NativeEndian.Uint64(b[offPulse:])
	s := Slot{Pulse: pulse, State: SlotState(pulse), Beats: pulse >> 8}
	switch s.State {
	case Free, Claimed:
		return s, nil
	case Idle, Busy, Stopping:
	default:
		return s, fmt.Errorf("cannot decode pulse %#x: %w: %v", pulse, ErrSlot, s.State)
	}
	s.Timeout = time.Duration(min(binary.NativeEndian.Uint64(b[offTimeout:]), uint64(MaxInterval)))
	s.PID = binary.NativeEndian.Uint32(b[offPID:])
	s.TID = binary.NativeEndian.Uint32(b[offTID:])
	s.Serial = binary.NativeEndian.Uint32(b[offSerial:])
	name, _, _ := bytes.Cut(b[offName:SlotSize], []byte{0})
	s.Name = CleanText(string(name), MaxSlotName)
	return s, nil
}

// EncodeSlot returns the words of a slot. Pulse is taken as it is; State and
// Beats are not looked at. A name that is too long is cut at a character, a
// negative timeout is none.
func EncodeSlot(s Slot) [SlotSize / 8]uint64 {
	var b [SlotSize]byte
	binary.NativeEndian.PutUint64(b[offPulse:], s.Pulse)
	binary.NativeEndian.PutUint64(b[offTimeout:], uint64(max(s.Timeout, 0)))
	binary.NativeEndian.PutUint32(b[offPID:], s.PID)
	binary.NativeEndian.PutUint32(b[offTID:], s.TID)
	binary.NativeEndian.PutUint32(b[offSerial:], s.Serial)
	copy(b[offName:], cutName(s.Name))
	var w [SlotSize / 8]uint64
	for i := range w {
		w[i] = binary.NativeEndian.Uint64(b[8*i:])
	}
	return w
}

// cutName cuts a name that is too long at a character.
func cutName(name string) string {
	if len(name) <= MaxSlotName {
		return name
	}
	end := MaxSlotName
	for end > 0 && !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}

// Words is a slot in shared memory. Both sides touch it by whole words only.
type Words [SlotSize / 8]atomic.Uint64

// Serial returns the serial of the last claim, whatever the state of the slot.
func (w *Words) Serial() uint32 {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], w[WordSerial].Load())
	return binary.NativeEndian.Uint32(b[:])
}

// slotReads bounds how often a slot is read that others claim meanwhile.
const slotReads = 4

// Slot reads and decodes a slot that others may be writing. A writer stores
// the serial first when it fills in a slot and the pulse last, so a reader that
// has seen the pulse sees what belongs to it, and one that finds the same serial
// before and after has not mixed two activities. A program that scribbles can
// mix what it likes: the result is then one DecodeSlot, of some of its bytes.
func (w *Words) Slot() (Slot, error) {
	var b [SlotSize]byte
	for range slotReads {
		for _, i := range [...]int{WordPulse, WordSerial, WordTimeout, WordThread, WordName, WordName + 1, WordName + 2, WordName + 3} {
			binary.NativeEndian.PutUint64(b[8*i:], w[i].Load())
		}
		if w[WordSerial].Load() == binary.NativeEndian.Uint64(b[8*WordSerial:]) {
			break
		}
	}
	return DecodeSlot(b[:])
}
