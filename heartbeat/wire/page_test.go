package wire

import (
	"encoding/binary"
	"errors"
	"testing"
)

func page(slots int) []byte {
	b := make([]byte, PageSize(slots))
	PutHeader(b, slots)
	return b
}

func TestHeaderComesBack(t *testing.T) {
	if PageSize(DefaultSlots) != 4096 {
		t.Errorf("the default page has %d bytes", PageSize(DefaultSlots))
	}
	for _, slots := range []int{1, DefaultSlots, 4096, MaxSlots} {
		var b [HeaderSize]byte
		PutHeader(b[:], slots)
		if got, err := CheckHeader(b[:], int64(PageSize(slots))); err != nil || got != slots {
			t.Errorf("%d slots: %d, %v", slots, got, err)
		}
	}
}

func TestHeaderIsRefused(t *testing.T) {
	put32 := func(at int, v uint32) func([]byte) {
		return func(b []byte) { binary.NativeEndian.PutUint32(b[at:], v) }
	}
	for name, tt := range map[string]struct {
		damage func([]byte)
		size   int64
		want   error
	}{
		"empty":         {func([]byte) {}, 0, ErrPageSize},
		"magic":         {func(b []byte) { b[0] = 'v' }, 4096, ErrPageMagic},
		"version":       {put32(offVersion, 2), 4096, ErrPageVersion},
		"byte order":    {put32(offVersion, 1<<24), 4096, ErrPageVersion},
		"header size":   {put32(offHeaderSize, 128), 4096, ErrPageSize},
		"slot size":     {put32(offSlotSize, 0), 4096, ErrPageSize},
		"no slots":      {put32(offSlotCount, 0), 4096, ErrPageSize},
		"many slots":    {put32(offSlotCount, 1<<31), 4096, ErrPageSize},
		"total":         {put32(offPageSize, 4095), 4096, ErrPageSize},
		"file too long": {func([]byte) {}, 8192, ErrPageSize},
		"file short":    {func([]byte) {}, 128, ErrPageSize},
	} {
		b := page(DefaultSlots)
		tt.damage(b)
		if _, err := CheckHeader(b, tt.size); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if _, err := CheckHeader(make([]byte, HeaderSize-1), 4096); !errors.Is(err, ErrPageSize) {
		t.Errorf("short header: %v", err)
	}
}

func TestPageSlots(t *testing.T) {
	b := page(2)
	slots, err := PageSlots(b, 2)
	if err != nil || len(slots) != 2 {
		t.Fatalf("%d slots, %v", len(slots), err)
	}
	slots[1][WordSerial].Store(1)
	if b[HeaderSize+SlotSize+offSerial] == 0 && b[HeaderSize+SlotSize+offSerial+7] == 0 {
		t.Error("the second slot is not where the layout says")
	}
	for _, n := range []int{-1, 0, 3, MaxSlots + 1} {
		if _, err := PageSlots(b, n); !errors.Is(err, ErrPageSize) {
			t.Errorf("%d slots: %v", n, err)
		}
	}
	if _, err := PageSlots(append([]byte{0}, b...)[1:], 2); !errors.Is(err, ErrPageSize) {
		t.Errorf("odd address: %v", err)
	}
}

func FuzzCheckHeader(f *testing.F) {
	f.Add(page(1)[:HeaderSize], int64(PageSize(1)))
	f.Add(page(DefaultSlots)[:HeaderSize], int64(4096))
	f.Add([]byte("VIGILHB\x00"), int64(-1))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		slots, err := CheckHeader(b, size)
		if err == nil && (slots < 1 || slots > MaxSlots || int64(PageSize(slots)) != size) {
			t.Errorf("%d slots in %d bytes", slots, size)
		}
	})
}
