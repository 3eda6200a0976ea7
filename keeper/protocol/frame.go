package protocol

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error about bytes that are no frame.
var ErrMalformed = errors.New("protocol: malformed frame")

// Message is one frame. Body is JSON; Files are raw descriptors that belong to
// whoever holds the message.
type Message struct {
	Type  Type
	ID    uint64
	Epoch uint64
	Body  []byte
	Files []int
}

// Make builds a message from a body.
func Make(t Type, id, epoch uint64, body any) (Message, error) {
	m := Message{Type: t, ID: id, Epoch: epoch}
	if body == nil {
		return m, nil
	}
	b, err := json.Marshal(body)
	if err != nil {
		return m, fmt.Errorf("cannot encode %s: %w", t, err)
	}
	if len(b) > MaxBody {
		return m, fmt.Errorf("cannot encode %s: body of %d bytes, the limit is %d", t, len(b), MaxBody)
	}
	m.Body = b
	return m, nil
}

// Into decodes the body.
func (m Message) Into(v any) error {
	if err := json.Unmarshal(m.Body, v); err != nil {
		return fmt.Errorf("cannot decode %s: %w", m.Type, err)
	}
	return nil
}

// header is the decoded first part of a frame.
type header struct {
	typ    Type
	length int
	id     uint64
	epoch  uint64
	files  int
}

func encodeHeader(m Message) [HeaderSize]byte {
	var h [HeaderSize]byte
	binary.BigEndian.PutUint16(h[0:], magic)
	h[2], h[3] = Version, byte(m.Type)
	binary.BigEndian.PutUint32(h[4:], uint32(len(m.Body)))
	binary.BigEndian.PutUint64(h[8:], m.ID)
	binary.BigEndian.PutUint64(h[16:], m.Epoch)
	h[24] = byte(len(m.Files))
	return h
}

// decodeHeader checks every field before anything is allocated by it.
func decodeHeader(b []byte) (header, error) {
	var h header
	if len(b) != HeaderSize {
		return h, fmt.Errorf("%w: header of %d bytes", ErrMalformed, len(b))
	}
	if v := binary.BigEndian.Uint16(b); v != magic {
		return h, fmt.Errorf("%w: magic %#x", ErrMalformed, v)
	}
	if b[2] != Version {
		return h, fmt.Errorf("%w: protocol version %d, this is %d", ErrMalformed, b[2], Version)
	}
	h.typ = Type(b[3])
	if !h.typ.Known() {
		return h, fmt.Errorf("%w: unknown %s", ErrMalformed, h.typ)
	}
	n := binary.BigEndian.Uint32(b[4:])
	if n > MaxBody {
		return h, fmt.Errorf("%w: body of %d bytes, the limit is %d", ErrMalformed, n, MaxBody)
	}
	h.length = int(n)
	h.id, h.epoch = binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
	h.files = int(b[24])
	if h.files > MaxFiles {
		return h, fmt.Errorf("%w: %d descriptors, the limit is %d", ErrMalformed, h.files, MaxFiles)
	}
	for _, z := range b[25:] {
		if z != 0 {
			return h, fmt.Errorf("%w: reserved bytes are not zero", ErrMalformed)
		}
	}
	return h, nil
}
