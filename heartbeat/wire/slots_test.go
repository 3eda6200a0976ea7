package wire

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// raw is a slot as the bytes that a client of another language would store.
func raw(s Slot) []byte {
	b := make([]byte, 0, SlotSize)
	for _, w := range EncodeSlot(s) {
		b = binary.NativeEndian.AppendUint64(b, w)
	}
	return b
}

func TestSlotComesBack(t *testing.T) {
	want := Slot{Pulse: 7<<8 | uint64(Busy), State: Busy, Beats: 7, Timeout: 2 * time.Second, PID: 10, TID: 11, Serial: 3, Name: "flusher-ä"}
	got, err := DecodeSlot(raw(want))
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	var w Words
	for i, v := range EncodeSlot(want) {
		w[i].Store(v)
	}
	if got, err := w.Slot(); err != nil || got != want || w.Serial() != want.Serial {
		t.Errorf("%+v, serial %d, %v", got, w.Serial(), err)
	}
}

func TestSlotIsSanitised(t *testing.T) {
	busy := uint64(Busy)
	for _, tt := range []struct{ in, want Slot }{
		{Slot{Pulse: busy, Name: "a\x1b[2J\nb\xffc"}, Slot{Pulse: busy, State: Busy, Name: "a\ufffd[2J\ufffdb\ufffdc"}},
		{Slot{Pulse: busy, Name: strings.Repeat("\xff", 32)}, Slot{Pulse: busy, State: Busy, Name: strings.Repeat("\ufffd", 10)}},
		{Slot{Pulse: busy, Name: strings.Repeat("x", 31) + "ä"}, Slot{Pulse: busy, State: Busy, Name: strings.Repeat("x", 31)}},
		{Slot{Pulse: busy, Name: "a\x00b"}, Slot{Pulse: busy, State: Busy, Name: "a"}},
		{Slot{Pulse: busy, Timeout: -1}, Slot{Pulse: busy, State: Busy}},
		{Slot{Pulse: busy, Timeout: 1<<63 - 1}, Slot{Pulse: busy, State: Busy, Timeout: MaxInterval}},
		{Slot{Pulse: 5 << 8, PID: 1, Name: "left over"}, Slot{Pulse: 5 << 8, Beats: 5}},
		{Slot{Pulse: 1, PID: 1, Name: "half"}, Slot{Pulse: 1, State: Claimed}},
	} {
		if got, err := DecodeSlot(raw(tt.in)); err != nil || got != tt.want {
			t.Errorf("%+v\n got %+v, %v\nwant %+v", tt.in, got, err, tt.want)
		}
	}
}

func TestSlotIsRefused(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, SlotSize-1), make([]byte, SlotSize+1), raw(Slot{Pulse: 5}), raw(Slot{Pulse: 1<<64 - 1})} {
		if _, err := DecodeSlot(b); !errors.Is(err, ErrSlot) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	if s, _ := DecodeSlot(raw(Slot{Pulse: 9<<8 | 77, Name: "x"})); s.Beats != 9 || s.Name != "" || s.State.String() != "state 77" {
		t.Errorf("%+v", s)
	}
}

func FuzzDecodeSlot(f *testing.F) {
	f.Add(make([]byte, SlotSize))
	f.Add(raw(Slot{Pulse: 1<<8 | uint64(Idle), Timeout: time.Second, PID: 1, TID: 2, Serial: 3, Name: "flusher"}))
	f.Add([]byte(strings.Repeat("\xff", SlotSize)))
	f.Add([]byte(strings.Repeat("\x03", SlotSize)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSlot(b)
		if len(s.Name) > MaxSlotName || !utf8.ValidString(s.Name) || strings.ContainsAny(s.Name, "\x00\n\r\x1b\u202e") {
			t.Errorf("name %q", s.Name)
		}
		if s.Timeout < 0 || s.Timeout > MaxInterval || s.Pulse != s.Beats<<8|uint64(s.State) {
			t.Errorf("%+v", s)
		}
		if err == nil && (len(b) != SlotSize || s.State > Stopping) || err != nil && (s.Name != "" || s.PID != 0 || s.Timeout != 0) {
			t.Errorf("%+v, %v", s, err)
		}
		again, err2 := DecodeSlot(raw(s))
		if (err == nil) != (err2 == nil) && len(b) == SlotSize || err == nil && again != s {
			t.Errorf("%+v, %v: %+v", s, err2, again)
		}
	})
}
