package protocol

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"golang.org/x/sys/unix"
)

func seed(f *testing.F) {
	for _, m := range []Message{{Type: TBeat}, {Type: TStart, ID: 1, Epoch: 2, Body: []byte(`{"key":"a"}`)}, {Type: TEvent, Files: make([]int, 3)}} {
		f.Add(frame(m))
	}
	f.Add([]byte{})
	f.Add(append(frame(Message{Type: TBeat}), frame(Message{Type: TReady})...))
	f.Add(frame(Message{Type: TBeat, Body: []byte("xx")})[:HeaderSize+1])
}

// FuzzDecodeHeader: what is taken is within the bounds, and encodes to the same
// bytes.
func FuzzDecodeHeader(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHeader(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("not ErrMalformed: %v", err)
			}
			return
		}
		if h.length > MaxBody || h.files > MaxFiles || !h.typ.Known() {
			t.Errorf("out of bounds: %+v", h)
		}
		again := encodeHeader(Message{Type: h.typ, ID: h.id, Epoch: h.epoch, Body: make([]byte, h.length), Files: make([]int, h.files)})
		if !bytes.Equal(again[:], b) {
			t.Errorf("encodes to %x, was %x", again, b)
		}
	})
}

// FuzzReceive writes arbitrary bytes into one end. Every frame that comes out
// is one that went in, and the stream ends with an error.
func FuzzReceive(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 {
			return // the socket's buffer takes this much without a reader
		}
		c, fd := pair(t)
		defer c.Close()
		if len(b) > 0 {
			if _, err := unix.Write(fd, b); err != nil {
				t.Fatal(err)
			}
		}
		unix.Close(fd)
		rest := b
		for {
			m, err := c.Receive()
			if err != nil {
				if err == io.EOF && len(rest) > 0 {
					t.Errorf("io.EOF with %d bytes left", len(rest))
				}
				return
			}
			took := frame(m)
			if !bytes.HasPrefix(rest, took) || len(m.Files) > 0 {
				t.Fatalf("got %x out of %x", took, rest)
			}
			rest = rest[len(took):]
		}
	})
}
