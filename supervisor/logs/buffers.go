package logs

import "sync"

const (
	readSize  = 64 << 10 // one read of a pipe: all that it holds by default
	chunkSize = 32 << 10 // one write
)

// Buffers lends memory to the readers and queues of any number of services.
// The zero value is ready to use.
type Buffers struct{ reads, chunks sync.Pool }

func (b *Buffers) read() *[readSize]byte {
	if v, ok := b.reads.Get().(*[readSize]byte); ok {
		return v
	}
	return new([readSize]byte)
}

func (b *Buffers) chunk() *chunk {
	if v, ok := b.chunks.Get().(*chunk); ok {
		v.start, v.end = 0, 0
		return v
	}
	return new(chunk)
}

// chunk is a piece of a queue: data[start:end] waits to be written.
type chunk struct {
	data       [chunkSize]byte
	start, end int
}

func (c *chunk) waiting() []byte { return c.data[c.start:c.end] }
