package wire

import (
	"encoding/binary"
	"errors"
	"testing"
	"unsafe"
)

func TestDecodeGimli(t *testing.T) {
	b := make([]byte, GimliSize)
	binary.NativeEndian.PutUint32(b[0:], 2)
	binary.NativeEndian.PutUint32(b[4:], 0xffffffff)
	got, err := DecodeGimli(b)
	if want := (GimliBeat{GimliRunning, -1}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := DecodeGimli(b[:7]); !errors.Is(err, ErrGimli) {
		t.Errorf("7 bytes: %v", err)
	}
	for state, want := range map[GimliState]string{0: "not attached", 1: "starting", 3: "stopping", 4: "state 4", -1: "state -1"} {
		if state.String() != want {
			t.Errorf("%d is %q", int32(state), state)
		}
	}
}

func TestGimliWords(t *testing.T) {
	if unsafe.Sizeof(GimliWords{}) != GimliSize {
		t.Errorf("%d bytes", unsafe.Sizeof(GimliWords{}))
	}
	var w GimliWords
	w[1].Store(1<<31 - 1)
	w.Beat()
	if got, want := w.Load(), (GimliBeat{GimliRunning, -1 << 31}); got != want {
		t.Errorf("got %+v", got)
	}
}

// FuzzDecodeGimli: what is in memory and what is decoded from bytes are the same.
func FuzzDecodeGimli(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0, 0, 5, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 127, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeGimli(b)
		if err != nil {
			if len(b) >= GimliSize {
				t.Fatal(err)
			}
			return
		}
		var w GimliWords
		w[0].Store(int32(binary.NativeEndian.Uint32(b)))
		w[1].Store(int32(binary.NativeEndian.Uint32(b[4:])))
		if w.Load() != got || got.State.String() == "" {
			t.Fatalf("%+v and %+v", w.Load(), got)
		}
	})
}
