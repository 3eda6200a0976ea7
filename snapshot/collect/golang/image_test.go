package golang

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// memoryOf makes an image with bytes at an address.
func memoryOf(t testing.TB, data []byte, addr uint64) *image {
	t.Helper()
	path := filepath.Join(t.TempDir(), "memory")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return &image{segments: []segment{{addr, addr + uint64(len(data)), 0, file}}, blocks: map[blockKey][]byte{}}
}

// TestManyBlocks: what is read stays right when old blocks make room.
func TestManyBlocks(t *testing.T) {
	data := make([]byte, (maxBlocks+50)*blockSize)
	for i := 0; i < len(data); i += 8 {
		binary.LittleEndian.PutUint64(data[i:], uint64(i))
	}
	m := memoryOf(t, data, 1<<20)
	for range 2 {
		for at := uint64(8); at < uint64(len(data)); at += blockSize / 2 {
			if got := m.word(1<<20 + at); got != at {
				t.Fatalf("at %#x: %#x", at, got)
			}
		}
	}
	if len(m.blocks) != maxBlocks {
		t.Errorf("%d blocks are kept", len(m.blocks))
	}
	if m.word(1) != 0 || m.word(1<<20+uint64(len(data))) != 0 {
		t.Error("memory was read that is not there")
	}
	// Across two blocks.
	if got := m.word(1<<20 + blockSize - 4); got>>32 != blockSize {
		t.Errorf("across blocks: %#x", got)
	}
}

// FuzzImage: neither a core's notes nor its stacks may bring a reader down, nor
// keep it for ever.
func FuzzImage(f *testing.F) {
	f.Add([]byte("\x05\x00\x00\x00\x04\x00\x00\x00ISGICORE\x00\x00\x00\x00abcd"), uint64(16), uint64(8))
	f.Add(make([]byte, 256), uint64(1<<20), uint64(1<<20+64))
	f.Fuzz(func(t *testing.T, data []byte, sp, bp uint64) {
		m := &image{notes: data}
		m.note(noteSiginfo)
		m = memoryOf(t, data, 1<<20)
		g := gState{lo: 1 << 20, hi: 1<<20 + uint64(len(data)), sp: sp, bp: bp}
		if pcs, _ := m.chain(g, 77, 64, nil, make([]byte, maxChain)); len(pcs) > 67 {
			t.Errorf("%d frames", len(pcs))
		}
		m.text(sp, 100)
	})
}

// FuzzOpenImage: any file may be called a core.
func FuzzOpenImage(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "core")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := openImage(path, path, 0x1000); err == nil {
			m.word(0x400000)
			m.close()
		}
	})
}
