package logs

import (
	"sync/atomic"
)

// chunkSize is the most that is read or written at once.
const chunkSize = 128 << 10

// record is what a successor must know of a chunk. It may lie in memory that
// outlives this process, which can end between any two stores. So what belongs
// together is one word, and each word is stored when it is true.
type record struct {
	state     atomic.Uint64    // free or used; stored last
	key       [2]atomic.Uint64 // of the Output
	seq       atomic.Uint64    // order within the Output
	fill      atomic.Uint64    // end<<32 | bytes of the read that is under way
	position  atomic.Uint64    // start<<32 | bytes of the write that is under way
	inode     atomic.Uint64    // the file of that write
	offset    atomic.Uint64    // its size before that write
	wall      atomic.Uint64    // when the first byte was read, ns since 1970
	source    atomic.Uint64    // the stream that wrote last
	lostBytes atomic.Uint64    // dropped before this chunk, and not yet told
	lostLines atomic.Uint64
	_         [4]uint64
}

// The states of a record.
const (
	free = iota
	used
)

// chunk is a piece of a queue: data[start:ready] waits to be written.
type chunk struct {
	*record
	data   []byte // chunkSize
	number int    // of its place in the memory that is shared; -1: in our own
	ready  int    // read, and counted by the queue, whose lock guards it
}

func pack(high, low int) uint64 { return uint64(high)<<32 | uint64(low) }

func unpack(w uint64) (high, low int) { return int(w >> 32), int(uint32(w)) }

func (c *chunk) start() int { high, _ := unpack(c.position.Load()); return high }

func (c *chunk) end() int { high, _ := unpack(c.fill.Load()); return high }

// waiting is what may be written. Called with the queue's lock held.
func (c *chunk) waiting() []byte { return c.data[c.start():c.ready] }

func (c *chunk) reset(key [2]uint64, seq uint64) {
	c.ready = 0
	for _, w := range []*atomic.Uint64{&c.fill, &c.position, &c.inode, &c.offset, &c.wall, &c.source, &c.lostBytes, &c.lostLines} {
		w.Store(0)
	}
	c.key[0].Store(key[0])
	c.key[1].Store(key[1])
	c.seq.Store(seq)
	c.state.Store(used)
}

// absent fills the place of a read before it happens: whether it happened is
// then seen by its end. No text in UTF-8 has any of these bytes.
var absent = [8]byte{0xff, 0xc1, 0xfe, 0xc0, 0xf9, 0xfb, 0xc1, 0xf8}

// reading prepares a read of exactly n bytes behind the end.
func (c *chunk) reading(n int) []byte {
	end := c.end()
	mark := absent[max(0, len(absent)-n):]
	copy(c.data[end+n-len(mark):], mark)
	c.fill.Store(pack(end, n))
	return c.data[end : end+n]
}

// hasRead tells how many bytes the read has brought.
func (c *chunk) hasRead(n int) { c.fill.Store(pack(c.end()+n, 0)) }

// settleRead finds out whether the read of a predecessor happened. A read of a
// pipe is not broken off by a signal while there are bytes (pipe_read, fs/pipe.c
// of Linux 6.18), and was asked for no more than there were: it is all or
// nothing.
func (c *chunk) settleRead() {
	end, n := unpack(c.fill.Load())
	mark := absent[max(0, len(absent)-n):]
	if n > 0 && string(c.data[end+n-len(mark):end+n]) != string(mark) {
		end += n
	}
	c.fill.Store(pack(end, 0))
}

// writing says that n bytes are about to be written to a file of that size.
func (c *chunk) writing(inode uint64, size int64, n int) {
	c.inode.Store(inode)
	c.offset.Store(uint64(size))
	c.position.Store(pack(c.start(), n))
}

// wrote moves the start over what was written.
func (c *chunk) wrote(n int) { c.position.Store(pack(c.start()+n, 0)) }

// settleWrite finds out how much of a predecessor's write happened: the file
// has grown by it. size returns the size of a file by its inode.
func (c *chunk) settleWrite(size func(inode uint64) (int64, bool)) {
	_, n := unpack(c.position.Load())
	if n == 0 {
		return
	}
	now, ok := size(c.inode.Load())
	if !ok {
		now = 0 // the file is gone: better twice than never
	}
	c.wrote(int(max(0, min(int64(n), now-int64(c.offset.Load())))))
}

// valid reports whether the words can be true; memory that another version or a
// bug has left is not trusted.
func (c *chunk) valid() bool {
	end, reading := unpack(c.fill.Load())
	start, writing := unpack(c.position.Load())
	return end+reading <= chunkSize && start+writing <= end
}

// append copies as much of p as fits below limit.
func (c *chunk) append(p []byte, limit int) int {
	end := c.end()
	n := copy(c.data[end:max(limit, end)], p)
	c.hasRead(n)
	c.ready = end + n
	return n
}
