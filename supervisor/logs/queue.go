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
	maxGap = time.Minute
)

// sink is where the bytes of a queue go. It may block for any time; only one
// goroutine calls it.
type sink interface {
	// write returns how many bytes were taken, as io.Writer.
	write(p []byte) (int, error)
	close() error
}

// Loss counts output that was dropped.
type Loss struct {
	Bytes int64
	Lines int64 // newlines among the bytes
}

// queue is a bounded buffer of bytes before a sink. Appending never blocks:
// what does not fit is dropped and counted, and a marker takes its place. A
// goroutine exists only while there is something to write.
type queue struct {
	limit   int // bytes that may wait
	buffers *Buffers
	sink    sink

	mu       sync.Mutex
	chunks   []*chunk // oldest first
	queued   int      // bytes in chunks and in the hands of the writer
	busy     bool     // a goroutine writes, or timer will start one
	timer    *time.Timer
	idle     chan struct{} // closed when busy ends; nil if nobody waits
	room     chan struct{} // closed when the queue is half empty; nil if nobody waits
	closed   bool
	source   int  // who wrote last
	midLine  bool // and did not end with a newline
	dropping bool
	midDrop  bool // the last dropped byte was no newline
	gap      Loss // since the last marker
	lost     Loss // in all
	errors   int64
	lastErr  error
	failing  time.Duration // CLOCK_BOOTTIME of the first failure; 0: works
	delay    time.Duration // gap before the next try
}

func newQueue(s sink, limit int, b *Buffers) *queue {
	return &queue{sink: s, limit: limit, buffers: b}
}

// append takes a copy of p. A source that writes within another's line gets a
// line of its own.
func (q *queue) append(source int, p []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.dropping && q.queued > q.limit/2 {
		// Half empty before it takes again: one marker then stands for many
		// drops.
		q.lose(p)
		return
	}
	if q.dropping {
		p = q.resume(p)
	}
	if q.midLine && source != q.source {
		q.put([]byte{'\n'})
	}
	if room := max(q.limit-q.queued, 0); len(p) > room {
		keep := bytes.LastIndexByte(p[:room], '\n') + 1
		q.lose(p[keep:])
		p = p[:keep]
	}
	q.put(p)
	q.source = source
	q.start()
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

// resume ends a gap with its marker. The end of a line whose begin was dropped
// belongs to the gap.
func (q *queue) resume(p []byte) []byte {
	if at := bytes.IndexByte(p, '\n'); q.midDrop && at >= 0 {
		q.lose(p[:at+1])
		p = p[at+1:]
	}
	q.mark()
	return p
}

func (q *queue) mark() {
	nl := ""
	if q.midLine {
		nl = "\n"
	}
	q.put(fmt.Appendf(nil, "%s[vigil: dropped %d bytes (%d lines)]\n", nl, q.gap.Bytes, q.gap.Lines))
	q.gap, q.dropping, q.midDrop = Loss{}, false, false
}

func (q *queue) lose(p []byte) {
	if len(p) == 0 {
		return
	}
	l := Loss{Bytes: int64(len(p)), Lines: int64(bytes.Count(p, []byte{'\n'}))}
	q.gap.Bytes, q.gap.Lines = q.gap.Bytes+l.Bytes, q.gap.Lines+l.Lines
	q.lost.Bytes, q.lost.Lines = q.lost.Bytes+l.Bytes, q.lost.Lines+l.Lines
	q.dropping = true
	q.midDrop = p[len(p)-1] != '\n'
}

// put copies p to the end of the chunks.
func (q *queue) put(p []byte) {
	if len(p) == 0 {
		return
	}
	q.midLine = p[len(p)-1] != '\n'
	q.queued += len(p)
	for len(p) > 0 {
		if n := len(q.chunks); n == 0 || q.chunks[n-1].end == chunkSize {
			q.chunks = append(q.chunks, q.buffers.chunk())
		}
		last := q.chunks[len(q.chunks)-1]
		n := copy(last.data[last.end:], p)
		last.end += n
		p = p[n:]
	}
}

func (q *queue) start() {
	if !q.busy && len(q.chunks) > 0 {
		q.busy = true
		go q.drain()
	}
}

// drain writes until nothing waits or the sink fails.
func (q *queue) drain() {
	for {
		c := q.take()
		if c == nil || !q.write(c) {
			return
		}
		q.buffers.chunks.Put(c)
	}
}

// take returns the oldest chunk, or nil after it has ended the work.
func (q *queue) take() *chunk {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.chunks) == 0 && q.dropping {
		// The gap was the last that happened: nothing follows to say so.
		q.mark()
	}
	if len(q.chunks) == 0 {
		q.chunks = nil
		q.rest()
		return nil
	}
	c := q.chunks[0]
	q.chunks = q.chunks[1:]
	return c
}

// rest ends the work of the writing goroutine.
func (q *queue) rest() {
	q.busy = false
	if q.closed {
		_ = q.sink.close()
	}
	if q.idle != nil {
		close(q.idle)
		q.idle = nil
	}
}

// write gives a chunk to the sink; false means that it failed and that the
// chunk waits again, or was given up.
func (q *queue) write(c *chunk) bool {
	end := c.waiting()[len(c.waiting())-1]
	for c.start < c.end {
		n, err := q.sink.write(c.waiting())
		c.start += n
		q.mu.Lock()
		q.queued -= n
		if q.queued <= q.limit/2 || err != nil {
			q.release()
		}
		if err != nil {
			q.fail(c, err)
			q.mu.Unlock()
			return false
		}
		q.mu.Unlock()
	}
	return q.healed(end == '\n')
}

// fail puts the chunk back and plans the next try. Called with the lock held.
func (q *queue) fail(c *chunk, err error) {
	q.errors++
	q.lastErr = err
	if q.failing == 0 {
		q.failing, q.delay = clock.Boot(), minGap
	} else {
		q.delay = min(2*q.delay, maxGap)
	}
	if c.start < c.end {
		q.chunks = append([]*chunk{c}, q.chunks...)
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

// giveUp drops all that waits: the queue is closed and the sink fails.
func (q *queue) giveUp() {
	for _, c := range q.chunks {
		q.lose(c.waiting())
		q.queued -= len(c.waiting())
	}
	q.chunks = nil
	q.rest()
}

// healed writes down a failure that is over, at the first success after it.
// It returns true, so that the writing goes on; should the marker itself fail,
// the next write will find out.
func (q *queue) healed(atLineStart bool) bool {
	q.mu.Lock()
	since, err := q.failing, q.lastErr
	q.failing = 0
	q.mu.Unlock()
	if since == 0 {
		return true
	}
	text := fmt.Sprintf("[vigil: not writable for %s: %v]\n", (clock.Boot() - since).Round(time.Millisecond), err)
	if !atLineStart {
		text = "\n" + text
	}
	_, _ = q.sink.write([]byte(text))
	return true
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
	if idle == nil {
		return err
	}
	return wait(ctx, idle)
}
