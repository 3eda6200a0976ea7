package logs

import (
	"context"
	"io"
	"sync"
)

// How much waits for a follower that is slow.
const (
	followLines = 4096
	followBytes = 1 << 20
)

// Follower gets the lines of a service as they come, over all its instances.
type Follower struct {
	output *Output
	wake   chan struct{} // holds one token when there is something to take

	mu      sync.Mutex
	lines   []Line
	bytes   int
	dropped int64
	ended   bool
}

// Next waits for lines and returns all that there are, and how many were
// dropped before them because the follower was slow. The error is io.EOF when
// the Output or the Follower is closed, or that of ctx.
func (f *Follower) Next(ctx context.Context) (lines []Line, dropped int64, err error) {
	for {
		f.mu.Lock()
		lines, dropped = f.lines, f.dropped
		f.lines, f.bytes, f.dropped = nil, 0, 0
		ended := f.ended
		f.mu.Unlock()
		if len(lines) > 0 || dropped > 0 {
			return lines, dropped, nil
		}
		if ended {
			return nil, 0, io.EOF
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// Close ends the following.
func (f *Follower) Close() {
	f.output.forget(f)
	f.end()
}

func (f *Follower) end() {
	f.mu.Lock()
	f.ended = true
	f.mu.Unlock()
	f.signal()
}

// push never blocks: the oldest waiting lines are dropped for a new one.
func (f *Follower) push(l Line) {
	f.mu.Lock()
	for len(f.lines) > 0 && (len(f.lines) >= followLines || f.bytes+len(l.Text) > followBytes) {
		f.bytes -= len(f.lines[0].Text)
		f.lines = f.lines[1:]
		f.dropped++
	}
	f.lines = append(f.lines, l)
	f.bytes += len(l.Text)
	f.mu.Unlock()
	f.signal()
}

func (f *Follower) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}
