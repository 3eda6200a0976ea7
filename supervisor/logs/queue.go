package logs

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
)

// The gap after a failed write doubles from the first to the second.
const (
	minGap = time.Second
	maxGap = 10 * time.Second
)

// batch is how many bytes a reader that finds more gathers before they are
// written: waking a writer for every page costs more than the copy.
const batch = 64 << 10

// sink is where the bytes of a queue go. It may block for any time; only one
// goroutine calls it.
type sink interface {
	// write takes data[start:end] of the chunk, and moves its start over what
	// was taken.
	write(c *chunk, end int) error
	close() error
}

// Loss counts output that was dropped.
type Loss struct {
	Bytes int64
	Lines int64 // newlines among the bytes
}

// queue is a bounded buffer of bytes before a sink. Appending never blocks:
// when there is no room the oldest bytes are dropped and counted, and a marker
// takes their place. A goroutine exists only while there is something to write.
type queue struct {
	limit   int // bytes that may wait
	piece   int // bytes of a chunk that are used, so that a drop is a part of limit
	key     [2]uint64
	buffers *Buffers
	sink    sink

	mu       sync.Mutex
	chunks   []*chunk // oldest first
	seq      uint64
	reserved *chunk // a reader fills it
	flight   bool   // the goroutine has the first chunk in its hands
	queued   int    // bytes in chunks
	busy     bool   // a goroutine writes, or timer will start one
	timer    *time.Timer
	idle     chan struct{} // closed when busy ends; nil if nobody waits
	room     chan struct{} // closed when the queue is half empty; nil if nobody waits
	closed   bool
	source   int  // who wrote last
	midLine  bool // and did not end with a newline
	dropping bool // something was dropped since the queue was half empty
	lost     Loss // in all
	errors   int64
	lastErr  error
	failing  time.Duration // CLOCK_BOOTTIME of the first failure; 0: works
	sick     time.Duration // of a failure that is over and not yet written down
	delay    time.Duration // gap before the next try

	torn bool // the sink's last byte is no newline; only the goroutine uses it
}

func newQueue(s sink, limit int, b *Buffers) *queue {
	return &queue{sink: s, limit: limit, piece: max(1, min(chunkSize, limit/4)), buffers: b}
}

// inherit begins with what a predecessor has left, oldest first.
func (q *queue) inherit(left []*chunk) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range left {
		q.chunks = append(q.chunks, c)
		q.queued += len(c.waiting())
		q.seq = c.seq.Load()
		if c.ready > 0 {
			q.midLine, q.source = c.data[c.ready-1] != '\n', int(c.source.Load())
		}
	}
	q.start()
}

// append takes a copy of p. A source that writes within another's line gets a
// line of its own.
func (q *queue) append(source int, p []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		q.lose(p)
		return
	}
	q.separate(source)
	q.put(source, p)
	q.start()
}

// reserve returns a chunk and how many of n bytes may be read into it; nil
// after close. The caller tells by commit what came; until then the chunk is
// not given back. Only one reader at a time may reserve.
func (q *queue) reserve(source, n int) (*chunk, int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, 0
	}
	q.separate(source)
	c := q.last(source)
	n = min(n, q.piece-c.ready)
	q.makeRoom(n)
	q.reserved = c
	return c, n
}

// commit counts n bytes that were read into a reserved chunk.
func (q *queue) commit(c *chunk, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reserved = nil
	c.ready += n
	q.queued += n
	if n > 0 {
		q.midLine = c.data[c.ready-1] != '\n'
	}
	if q.queued >= batch || q.closed {
		q.start()
	}
}

// kick writes what waits, however little: nothing more can be read just now.
func (q *queue) kick() {
	q.mu.Lock()
	q.start()
	q.mu.Unlock()
}

// separate ends a line of another source.
func (q *queue) separate(source int) {
	if q.midLine && source != q.source {
		q.put(q.source, []byte{'\n'})
	}
	q.source = source
}

// put copies p to the end of the chunks.
func (q *queue) put(source int, p []byte) {
	if len(p) > 0 {
		q.midLine = p[len(p)-1] != '\n'
	}
	for len(p) > 0 {
		c := q.last(source)
		q.makeRoom(min(len(p), q.piece-c.ready))
		n := c.append(p, q.piece)
		q.queued += n
		p = p[n:]
	}
}

// last returns a chunk with room at the end of the queue.
func (q *queue) last(source int) *chunk {
	var c *chunk
	if n := len(q.chunks); n > 0 && q.chunks[n-1].ready < q.piece {
		c = q.chunks[n-1]
	} else {
		q.seq++
		c = q.buffers.take(q.key, q.seq)
		q.chunks = append(q.chunks, c)
	}
	if len(c.waiting()) == 0 {
		c.wall.Store(uint64(time.Now().UnixNano()))
	}
	c.source.Store(uint64(source))
	return c
}

// makeRoom drops the oldest chunks until n bytes fit, apart from the one that
// is being written and the last.
func (q *queue) makeRoom(n int) {
	at := 0
	if q.flight {
		at = 1
	}
	for q.queued+n > q.limit && at < len(q.chunks)-1 {
		c, next := q.chunks[at], q.chunks[at+1]
		gap := q.lose(c.waiting())
		midLine := c.ready > 0 && c.data[c.ready-1] != '\n'
		if end := bytes.IndexByte(next.waiting(), '\n') + 1; midLine && end > 0 {
			// The end of a line whose begin was dropped goes with it.
			rest := q.lose(next.waiting()[:end])
			gap = Loss{gap.Bytes + rest.Bytes, gap.Lines + rest.Lines}
			next.wrote(end)
			q.queued -= end
		}
		next.lostBytes.Add(c.lostBytes.Load() + uint64(gap.Bytes))
		next.lostLines.Add(c.lostLines.Load() + uint64(gap.Lines))
		q.queued -= len(c.waiting())
		q.chunks = append(q.chunks[:at], q.chunks[at+1:]...)
		q.buffers.put(c)
		q.dropping = true
	}
}

// lose counts what is dropped.
func (q *queue) lose(p []byte) Loss {
	l := Loss{Bytes: int64(len(p)), Lines: int64(bytes.Count(p, []byte{'\n'}))}
	q.lost.Bytes, q.lost.Lines = q.lost.Bytes+l.Bytes, q.lost.Lines+l.Lines
	return l
}

// await waits until n bytes fit, but no longer than patience. It does not wait
// at all for a sink that fails or was too slow already: a gap is being counted,
// and the service must not be held up once more for it.
func (q *queue) await(n int, patience time.Duration) {
	q.mu.Lock()
	if q.queued+n <= q.limit || q.queued == 0 || q.dropping || q.failing != 0 || q.closed {
		q.mu.Unlock()
		return
	}
	if q.room == nil {
		q.room = make(chan struct{})
	}
	room := q.room
	q.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-room:
	case <-timer.C:
	}
}

// release wakes those who wait for room. Called with the lock held.
func (q *queue) release() {
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
}

func (q *queue) start() {
	if !q.busy && q.queued > 0 {
		q.busy = true
		go q.drain()
	}
}

// drain writes until nothing waits or the sink fails.
func (q *queue) drain() {
	for {
		c, end := q.take()
		if c == nil || !q.write(c, end) {
			return
		}
	}
}

// take returns the oldest chunk that has bytes, or nil after it has ended the
// work.
func (q *queue) take() (*chunk, int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.chunks) > 0 {
		c := q.chunks[0]
		if len(c.waiting()) > 0 || c.lostBytes.Load() > 0 {
			q.flight = true
			return c, c.ready
		}
		if c == q.reserved {
			break // commit starts again
		}
		q.chunks = append(q.chunks[:0], q.chunks[1:]...)
		q.buffers.put(c)
	}
	q.rest()
	return nil, 0
}

// rest ends the work of the writing goroutine.
func (q *queue) rest() {
	q.busy = false
	if len(q.chunks) == 0 {
		q.chunks = nil
	}
	if q.closed {
		_ = q.sink.close()
	}
	if q.idle != nil {
		close(q.idle)
		q.idle = nil
	}
}

// write gives a chunk to the sink; false means that it failed and that the
// chunk waits, or was given up.
func (q *queue) write(c *chunk, end int) bool {
	before := c.start()
	err := q.tellLoss(c)
	if err == nil {
		err = q.sink.write(c, end)
	}
	after := c.start()
	if after > before {
		q.torn = c.data[after-1] != '\n'
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flight = false
	q.queued -= after - before
	if q.queued <= q.limit/2 {
		q.dropping = false
		q.release()
	}
	if err != nil {
		q.release()
		q.fail(err)
		return false
	}
	if q.failing != 0 {
		q.sick, q.failing = q.failing, 0
	}
	if q.sick != 0 && !q.torn {
		q.healed()
	}
	return true
}

// tellLoss writes down what was dropped before a chunk.
func (q *queue) tellLoss(c *chunk) error {
	if c.lostBytes.Load() == 0 {
		return nil
	}
	err := q.say(fmt.Sprintf("[vigil: dropped %d bytes (%d lines)]\n", c.lostBytes.Load(), c.lostLines.Load()))
	if err == nil {
		c.lostBytes.Store(0)
		c.lostLines.Store(0)
	}
	return err
}

// say writes a line of our own, at the begin of a line.
func (q *queue) say(text string) error {
	if q.torn {
		text = "\n" + text
	}
	c := &chunk{record: new(record), data: []byte(text)}
	c.wall.Store(uint64(time.Now().UnixNano()))
	c.hasRead(len(text))
	err := q.sink.write(c, len(text))
	if n := c.start(); n > 0 {
		q.torn = text[n-1] != '\n'
	}
	return err
}

// fail plans the next try. Called with the lock held.
func (q *queue) fail(err error) {
	q.errors++
	q.lastErr = err
	if q.failing == 0 {
		q.failing, q.delay = clock.Boot(), minGap
	} else {
		q.delay = min(2*q.delay, maxGap)
	}
	if q.closed {
		q.giveUp()
		return
	}
	q.timer = time.AfterFunc(q.delay, func() {
		q.mu.Lock()
		q.timer = nil
		q.mu.Unlock()
		q.drain()
	})
}

// giveUp drops all that waits: the queue is closed and the sink fails. What
// lies in the memory that outlives us is left to a successor.
func (q *queue) giveUp() {
	for _, c := range q.chunks {
		q.lose(c.waiting())
		q.queued -= len(c.waiting())
		if c.number < 0 {
			q.buffers.put(c)
		}
	}
	q.chunks = nil
	q.rest()
}

// healed writes down a failure that is over, at the first end of a line after
// it. Should that fail, the next write will find out. Called with the lock
// held, which it gives up meanwhile: the goroutine that writes is still this one.
func (q *queue) healed() {
	text := fmt.Sprintf("[vigil: not writable for %s: %v]\n", (clock.Boot() - q.sick).Round(time.Millisecond), q.lastErr)
	q.sick = 0
	q.mu.Unlock()
	_ = q.say(text)
	q.mu.Lock()
}

// flush waits until all that was appended so far is written, or ctx ends.
func (q *queue) flush(ctx context.Context) error {
	q.mu.Lock()
	idle := q.waitIdle()
	q.mu.Unlock()
	return wait(ctx, idle)
}

// waitIdle returns a channel that is closed when nothing is being written; nil
// if that is so already.
func (q *queue) waitIdle() <-chan struct{} {
	if !q.busy {
		return nil
	}
	if q.idle == nil {
		q.idle = make(chan struct{})
	}
	return q.idle
}

func wait(ctx context.Context, idle <-chan struct{}) error {
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot write all output in time: %w", ctx.Err())
	}
}

// close takes nothing more, tries once more to write what waits, and closes
// the sink when that is done, which may be after ctx has ended.
func (q *queue) close(ctx context.Context) error {
	q.mu.Lock()
	if q.closed {
		idle := q.waitIdle()
		q.mu.Unlock()
		return wait(ctx, idle)
	}
	q.closed = true
	q.release()
	q.start() // what has been read and not been kicked yet
	idle := q.waitIdle()
	if q.timer != nil && q.timer.Stop() {
		q.timer = nil
		go q.drain()
	}
	var err error
	if !q.busy {
		err = q.sink.close()
	}
	q.mu.Unlock()
	if err != nil {
		return err
	}
	return wait(ctx, idle)
}
