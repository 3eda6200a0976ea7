package capture

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// pieceSize is how much one process_vm_readv takes: large enough to be fast,
// small enough that a worker notices soon that the target is free.
const pieceSize = 4 << 20

// workers copy at the same time. More than two gain nothing measurable.
const workers = 2

// piece is a range of the target's memory and its place in the core.
type piece struct {
	span
	at int64
}

// copier copies pieces of a stopped process into a file.
type copier struct {
	pid    int
	file   *os.File
	next   atomic.Int64
	stop   atomic.Bool // the target is free, or the file is full: nothing read now is kept
	copied atomic.Int64
	lost   atomic.Int64  // bytes that could not be read
	limit  int64         // most bytes to write
	done   chan struct{} // closed when all workers have ended
	mu     sync.Mutex
	failed error // why the file could not be written
}

func newCopier(pid int, file *os.File, limit int64) *copier {
	return &copier{pid: pid, file: file, limit: limit, done: make(chan struct{})}
}

// start copies all pieces; done is closed when all workers have ended.
func (c *copier) start(pieces []piece, workers int) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			buf := make([]byte, pieceSize)
			for !c.stop.Load() {
				i := int(c.next.Add(1)) - 1
				if i >= len(pieces) {
					return
				}
				c.copy(pieces[i], buf)
			}
		})
	}
	go func() {
		wg.Wait()
		close(c.done)
	}()
}

// wait returns when no worker touches the file any more.
func (c *copier) wait() { <-c.done }

// copy reads one piece and writes the pages of it that are not zero.
func (c *copier) copy(p piece, buf []byte) {
	buf = buf[:p.end-p.start]
	n := readMemory(c.pid, p.start, buf)
	c.lost.Add(int64(len(buf) - n))
	// The target can have been released while we read: then this is not what
	// stood still.
	if c.stop.Load() {
		return
	}
	for _, run := range nonZero(buf[:n]) {
		if c.copied.Add(int64(run.end-run.start)) > c.limit {
			c.fail(fmt.Errorf("the core is limited to %d bytes", c.limit))
			return
		}
		if _, err := c.file.WriteAt(buf[run.start:run.end], p.at+int64(run.start)); err != nil {
			c.fail(err)
			return
		}
	}
}

func (c *copier) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
	c.stop.Store(true)
}

func (c *copier) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// readMemory reads as much as it can from the start of a range.
func readMemory(pid int, addr uint64, buf []byte) int {
	done := 0
	for done < len(buf) {
		local := []unix.Iovec{{Base: &buf[done], Len: uint64(len(buf) - done)}}
		remote := []unix.RemoteIovec{{Base: uintptr(addr) + uintptr(done), Len: len(buf) - done}}
		n, err := unix.ProcessVMReadv(pid, local, remote, 0)
		if err != nil || n <= 0 {
			break
		}
		done += n
	}
	return done
}

// nonZero returns the ranges of whole pages of buf that hold anything.
func nonZero(buf []byte) []span {
	var list []span
	zero := make([]byte, pageSize)
	for at := uint64(0); at < uint64(len(buf)); at += pageSize {
		end := min(at+pageSize, uint64(len(buf)))
		if !bytes.Equal(buf[at:end], zero[:end-at]) {
			list = appendSpan(list, span{at, end})
		}
	}
	return list
}
