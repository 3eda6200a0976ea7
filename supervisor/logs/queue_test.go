package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeSink fails or blocks as told.
type fakeSink struct {
	mu     sync.Mutex
	got    bytes.Buffer
	err    error
	tries  int
	gate   chan struct{} // if not nil, a write waits for it
	closed bool
}

func (s *fakeSink) write(p []byte) (int, error) {
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if s.err != nil {
		n := min(3, len(p)) // as a disk that fills up within a write
		s.got.Write(p[:n])
		return n, s.err
	}
	return s.got.Write(p)
}

func (s *fakeSink) close() error { s.closed = true; return nil }

func (s *fakeSink) state() (text string, tries int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String(), s.tries
}

func (s *fakeSink) set(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
}

func TestQueueDropsWhatDoesNotFit(t *testing.T) {
	s := &fakeSink{gate: make(chan struct{})}
	q := newQueue(s, 100, new(Buffers))
	line := func(i int) []byte { return fmt.Appendf(nil, "line %d 12345678\n", i) } // 16 bytes
	for i := range 10 {
		q.append(0, line(i))
	}
	if q.lost != (Loss{Bytes: 64, Lines: 4}) {
		t.Errorf("lost %+v", q.lost)
	}
	close(s.gate)
	if err := q.flush(ctx(t)); err != nil {
		t.Fatal(err)
	}
	q.append(0, []byte("after\n"))
	if err := q.close(ctx(t)); err != nil {
		t.Fatal(err)
	}
	got := s.got.String()
	if !strings.HasSuffix(got, "line 5 12345678\n[vigil: dropped 64 bytes (4 lines)]\nafter\n") || !s.closed {
		t.Errorf("%q, closed %v", got, s.closed)
	}
}

func TestQueueResumesAtALine(t *testing.T) {
	s := &fakeSink{gate: make(chan struct{})}
	q := newQueue(s, 200, new(Buffers))
	first := strings.Repeat("f", 149) + "\n"
	q.append(0, []byte(first))
	q.append(0, []byte("kept\n"+strings.Repeat("d", 100)))
	q.mu.Lock()
	q.queued -= len(first) // as if written, with the writer still at work
	q.mu.Unlock()
	q.append(0, []byte("its end\nnext\n"))
	q.mu.Lock()
	q.queued += len(first)
	q.mu.Unlock()
	close(s.gate)
	if err := q.close(ctx(t)); err != nil {
		t.Fatal(err)
	}
	want := first + "kept\n[vigil: dropped 108 bytes (1 lines)]\nnext\n"
	if got := s.got.String(); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// With patience a reader waits for a sink that works, and for no other.
func TestQueueAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{gate: make(chan struct{})}
		q := newQueue(s, 100, new(Buffers))
		q.append(0, bytes.Repeat([]byte("x"), 90))
		begin := time.Now()
		q.await(10, time.Second)
		if d := time.Since(begin); d != 0 {
			t.Errorf("waited %v with room", d)
		}
		q.await(20, time.Second)
		if d := time.Since(begin); d != time.Second {
			t.Errorf("waited %v for a stuck sink", d)
		}
		q.append(0, bytes.Repeat([]byte("x"), 20)) // drops
		q.await(20, time.Second)
		if d := time.Since(begin); d != time.Second {
			t.Errorf("waited %v while dropping", d)
		}
		s.gate <- struct{}{}
		close(s.gate)
		synctest.Wait()
		q.append(0, []byte("y\n"))
		synctest.Wait()
		q.await(20, time.Second)
		if d := time.Since(begin); d != time.Second {
			t.Errorf("waited %v for an empty queue", d)
		}
		if err := q.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestQueueAwaitEndsWithRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{gate: make(chan struct{})}
		q := newQueue(s, 100, new(Buffers))
		q.append(0, bytes.Repeat([]byte("x"), 90))
		begin := time.Now()
		go func() {
			time.Sleep(time.Millisecond) // of the bubble
			s.gate <- struct{}{}
		}()
		q.await(20, time.Second)
		if d := time.Since(begin); d != time.Millisecond {
			t.Errorf("waited %v", d)
		}
		if err := q.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestQueueKeepsStreamsApart(t *testing.T) {
	s := &fakeSink{}
	q := newQueue(s, 1000, new(Buffers))
	q.append(0, []byte("prompt> "))
	q.append(1, []byte("error\n"))
	q.append(0, []byte("a"))
	q.append(0, []byte("b\n"))
	q.append(1, []byte("c\n"))
	if err := q.close(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if got := s.got.String(); got != "prompt> \nerror\nab\nc\n" {
		t.Errorf("%q", got)
	}
}

func TestQueueRetriesWithGrowingGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{err: errors.New("no space")}
		q := newQueue(s, 1000, new(Buffers))
		q.append(0, []byte("0123456789abcdef\n"))
		for _, want := range []struct {
			at    time.Duration
			tries int
		}{{0, 1}, {time.Second, 2}, {2 * time.Second, 3}, {4 * time.Second, 4}} {
			time.Sleep(want.at) // of the bubble
			synctest.Wait()
			if _, tries := s.state(); tries != want.tries {
				t.Errorf("%d tries, want %d", tries, want.tries)
			}
		}
		s.set(nil)
		time.Sleep(8 * time.Second)
		synctest.Wait()
		got, _ := s.state()
		if !strings.HasPrefix(got, "0123456789abcdef\n[vigil: not writable for ") || !strings.HasSuffix(got, ": no space]\n") {
			t.Errorf("%q", got)
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.errors != 4 || q.lost.Bytes != 0 || q.failing != 0 {
			t.Errorf("%d errors, lost %+v, failing since %v", q.errors, q.lost, q.failing)
		}
	})
}

func TestQueueGapIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{err: errors.New("no space")}
		q := newQueue(s, 1<<20, new(Buffers))
		q.append(0, bytes.Repeat([]byte("x"), 1000))
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, tries := s.state(); tries < 60 || tries > 70 {
			t.Errorf("%d tries in an hour", tries)
		}
		// The last try is at the close, whatever the gap.
		if err := q.close(context.Background()); err != nil {
			t.Error(err)
		}
		if q.lost.Bytes == 0 || !s.closed || q.queued != 0 {
			t.Errorf("lost %+v, closed %v, queued %d", q.lost, s.closed, q.queued)
		}
	})
}

func TestQueueCloseDoesNotWaitForEver(t *testing.T) {
	s := &fakeSink{gate: make(chan struct{})}
	q := newQueue(s, 100, new(Buffers))
	q.append(0, []byte("x\n"))
	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := q.close(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	q.append(0, []byte("late\n"))
	close(s.gate)
	if err := q.close(ctx(t)); err != nil {
		t.Error(err)
	}
	if q.lost.Bytes != 5 || s.got.String() != "x\n[vigil: dropped 5 bytes (1 lines)]\n" {
		t.Errorf("%+v %q", q.lost, s.got.String())
	}
}
