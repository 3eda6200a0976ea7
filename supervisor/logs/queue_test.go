package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
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

func (s *fakeSink) write(c *chunk, end int) error {
	n, err := s.take(c.data[c.start():end])
	c.wrote(n)
	return err
}

func (s *fakeSink) take(p []byte) (int, error) {
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

func TestQueueDropsTheOldest(t *testing.T) {
	s := &fakeSink{gate: make(chan struct{})}
	q := newQueue(s, 100, new(Buffers))
	line := func(i int) []byte { return fmt.Appendf(nil, "line %d 12345678\n", i) } // 16 bytes
	for i := range 20 {
		q.append(0, line(i))
	}
	q.mu.Lock()
	lost := q.lost
	q.mu.Unlock()
	if lost.Lines < 12 || lost.Lines > 16 || q.queued > q.limit {
		t.Errorf("lost %+v, queued %d", lost, q.queued)
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
	// One gap, or two where the writer had taken something in between.
	dropped := 0
	for _, m := range dropMark.FindAllStringSubmatch(got, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		dropped += n
	}
	if dropped < 12 || dropped > 16 || !strings.HasSuffix(got, string(line(19))+"after\n") || !s.closed {
		t.Errorf("%d dropped: %q, closed %v", dropped, got, s.closed)
	}
	// What is left is lines of ours: whole, or cut where something was dropped
	// after its begin had been written.
	for _, l := range strings.SplitAfter(dropMark.ReplaceAllString(got, ""), "\n") {
		known := l == "after\n"
		for i := range 20 {
			known = known || strings.HasPrefix(string(line(i)), strings.TrimSuffix(l, "\n"))
		}
		if !known {
			t.Errorf("torn: %q", l)
		}
	}
}

var dropMark = regexp.MustCompile(`\[vigil: dropped [0-9]+ bytes \(([0-9]+) lines\)\]\n`)

// A property: whatever is appended to a stuck sink, what comes out is the
// newest lines, and the marker tells exactly what is missing.
func TestQueueKeepsTheNewest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &fakeSink{gate: make(chan struct{})}
		q := newQueue(s, rapid.IntRange(40, 400).Draw(rt, "limit"), new(Buffers))
		var all strings.Builder
		for i := range rapid.IntRange(1, 60).Draw(rt, "n") {
			l := fmt.Sprintf("%d%s\n", i, strings.Repeat("x", rapid.IntRange(0, 9).Draw(rt, "len")))
			all.WriteString(l)
			q.append(0, []byte(l))
			if q.queued > q.limit+q.piece {
				rt.Fatalf("%d bytes wait, limit %d", q.queued, q.limit)
			}
		}
		close(s.gate)
		if err := q.close(ctx(t)); err != nil {
			rt.Fatal(err)
		}
		got := s.got.String()
		var told Loss
		last := 0
		for _, m := range markers.FindAllStringSubmatchIndex(got, -1) {
			bytes, _ := strconv.ParseInt(got[m[2]:m[3]], 10, 64)
			lines, _ := strconv.ParseInt(got[m[4]:m[5]], 10, 64)
			told.Bytes, told.Lines = told.Bytes+bytes, told.Lines+lines
			last = m[1]
		}
		kept := strings.Count(markers.ReplaceAllString(got, ""), "x")
		if told != q.lost || !strings.HasSuffix(all.String(), got[last:]) || last == 0 && got != all.String() ||
			int64(strings.Count(all.String(), "x")-kept) > told.Bytes {
			rt.Fatalf("%q of %q, lost %+v", got, all.String(), q.lost)
		}
	})
}

var markers = regexp.MustCompile(`(?m)^\[vigil: dropped (\d+) bytes \((\d+) lines\)\]\n`)

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
			close(s.gate)
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
		q.append(0, bytes.Repeat([]byte("x"), 10000))
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, tries := s.state(); tries < 360 || tries > 370 {
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
	if q.lost.Bytes != 5 || s.got.String() != "x\n" {
		t.Errorf("%+v %q", q.lost, s.got.String())
	}
}
