package logs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOutputFloodIsComplete(t *testing.T) {
	const lines = 1_100_000 // 110 MB
	dir := t.TempDir()
	// The buffer is large so that nothing may be dropped on a slow machine.
	out := newOutput(t, Options{Directory: dir, Buffer: 256 << 20})
	r, w := pipe(t)
	reader, err := out.Begin().Read(Stdout, r)
	if err != nil {
		t.Fatal(err)
	}
	c := role("flood", fmt.Sprint("LOGS_LINES=", lines))
	c.Stdout = w
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	done(t, reader)
	if err := out.Flush(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if s := out.Stats(); s.Bytes != lines*100 || s.Lines != lines || s.Dropped.Bytes != 0 || s.Errors != 0 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
	f, err := os.Open(out.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	n := 0
	for sc := bufio.NewScanner(f); sc.Scan(); n++ {
		if sc.Text() != fmt.Sprintf("%099d", n) {
			t.Fatalf("line %d is %q", n, sc.Text())
		}
	}
	if n != lines {
		t.Errorf("%d lines in the file", n)
	}
	tail := out.current.Lines(-1)
	if len(tail) == 0 || tail[len(tail)-1].Text != fmt.Sprintf("%099d", lines-1) {
		t.Errorf("tail of %d lines", len(tail))
	}
}

// An echo that nobody reads must not hold up the child, and says what it lost.
func TestOutputEchoNobodyReads(t *testing.T) {
	const lines = 100_000
	fifo := filepath.Join(t.TempDir(), "terminal")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	stuck, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stuck.Close() }()
	echo, err := NewEcho(stuck, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := newOutput(t, Options{Directory: t.TempDir(), Buffer: 64 << 20, Stdout: echo, Prefix: "web | "})
	r, w := pipe(t)
	reader, err := out.Begin().Read(Stdout, r)
	if err != nil {
		t.Fatal(err)
	}
	c := role("flood", fmt.Sprint("LOGS_LINES=", lines))
	c.Stdout = w
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	done(t, reader)
	if err := out.Flush(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if s := out.Stats(); s.Bytes != lines*100 || s.Dropped.Bytes != 0 {
		t.Errorf("%+v", s)
	}
	lost := echo.Dropped()
	if lost.Lines < lines/2 {
		t.Errorf("echo lost %+v", lost)
	}
	// Now somebody reads: what waited comes, with the marker.
	got := make(chan string)
	go func() {
		var b bytes.Buffer
		buf := make([]byte, 64<<10)
		for !strings.Contains(b.String(), fmt.Sprintf("%099d\n", lines-1)) {
			n, err := stuck.Read(buf)
			if err != nil {
				break
			}
			b.Write(buf[:n])
		}
		got <- b.String()
	}()
	if err := echo.Close(ctx(t)); err != nil {
		t.Error(err)
	}
	text := <-got
	want := fmt.Sprintf("[vigil: dropped %d bytes (%d lines)]", lost.Bytes, lost.Lines)
	if !strings.Contains(text, want) || !strings.Contains(text, fmt.Sprintf("web | %099d\nweb | ", lines-2)) {
		t.Errorf("no %q in %d bytes", want, len(text))
	}
}

func TestEchoBrokenPipeIsSurvived(t *testing.T) {
	r, w := pipe(t)
	echo, err := NewEcho(w, 100)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	_ = w.Close()
	out := newOutput(t, Options{Stderr: echo})
	out.ingest(out.Begin(), Stderr, []byte("hello\n"))
	if err := echo.Close(ctx(t)); err != nil {
		t.Error(err)
	}
	if echo.Dropped().Bytes != 6 {
		t.Errorf("%+v", echo.Dropped())
	}
}

func TestOutputTailAndFollow(t *testing.T) {
	out := newOutput(t, Options{})
	first := out.Begin()
	rOut, wOut := pipe(t)
	rErr, wErr := pipe(t)
	a, err := first.Read(Stdout, rOut)
	if err != nil {
		t.Fatal(err)
	}
	b, err := first.Read(Stderr, rErr)
	if err != nil {
		t.Fatal(err)
	}
	early := out.Follow(0)
	defer early.Close()
	step := func(w *os.File, text string, want ...string) {
		t.Helper()
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		var got []string
		for len(got) < len(want) {
			lines, dropped, err := early.Next(ctx(t))
			if err != nil || dropped != 0 {
				t.Fatal(dropped, err)
			}
			got = append(got, texts(lines)...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("followed %q, want %q", got, want)
		}
	}
	step(wOut, "one\ntwo\n", "one", "two")
	step(wErr, "bad\nunfini", "bad")
	late := out.Follow(2)
	defer late.Close()
	if lines, _, err := late.Next(ctx(t)); err != nil || !slices.Equal(texts(lines), []string{"two", "bad"}) {
		t.Errorf("%q, %v", texts(lines), err)
	}
	lines := first.Lines(-1)
	if !slices.Equal(texts(lines), []string{"one", "two", "bad", "unfini"}) || !lines[3].Partial || lines[2].Stream != Stderr || lines[0].Boot <= 0 {
		t.Errorf("%+v", lines)
	}
	if got := texts(first.Lines(2)); !slices.Equal(got, []string{"bad", "unfini"}) {
		t.Errorf("%q", got)
	}
	_, _ = wOut.Close(), wErr.Close()
	done(t, a)
	done(t, b)
	lines = first.Lines(-1)
	if l := lines[len(lines)-1]; len(lines) != 4 || l.Text != "unfini" || !l.Partial {
		t.Errorf("%+v", lines)
	}
	// A follower outlives the instance; the tail does not mix them.
	second := out.Begin()
	out.ingest(second, Stdout, []byte("three\n"))
	if got := texts(second.Lines(-1)); !slices.Equal(got, []string{"three"}) {
		t.Errorf("%q", got)
	}
	if err := out.Close(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if lines, _, err := early.Next(ctx(t)); err != nil || !slices.Equal(texts(lines), []string{"unfini", "three"}) {
		t.Errorf("%q, %v", texts(lines), err)
	}
	if _, _, err := early.Next(ctx(t)); err != io.EOF {
		t.Errorf("%v", err)
	}
	if _, _, err := out.Follow(1).Next(ctx(t)); err != nil {
		t.Errorf("follow after close: %v", err)
	}
}

func TestFollowerIsBounded(t *testing.T) {
	out := newOutput(t, Options{})
	i, f := out.Begin(), out.Follow(0)
	defer f.Close()
	for n := range followLines + 10 {
		out.ingest(i, Stdout, fmt.Appendf(nil, "%d\n", n))
	}
	lines, dropped, err := f.Next(ctx(t))
	if err != nil || dropped != 10 || len(lines) != followLines || lines[0].Text != "10" {
		t.Errorf("%d lines, %d dropped, %v", len(lines), dropped, err)
	}
	long := strings.Repeat("x", MaxLine) + "\n"
	for range 100 {
		out.ingest(i, Stdout, []byte(long))
	}
	if lines, dropped, _ := f.Next(ctx(t)); len(lines) != followBytes/MaxLine || dropped != 100-followBytes/MaxLine {
		t.Errorf("%d lines, %d dropped", len(lines), dropped)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := f.Next(ended); err != context.Canceled {
		t.Errorf("%v", err)
	}
}

// Whoever stops reading leaves the rest to the next reader.
func TestReaderCloseLeavesTheRest(t *testing.T) {
	out := newOutput(t, Options{})
	r, w := pipe(t)
	i := out.Begin()
	a, err := i.Read(Stdout, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	done(t, a)
	_, _ = w.WriteString("for the successor\n")
	_ = w.Close()
	b, err := i.Read(Stdout, r)
	if err != nil {
		t.Fatal(err)
	}
	done(t, b)
	if got := texts(i.Lines(-1)); !slices.Equal(got, []string{"for the successor"}) {
		t.Errorf("%q", got)
	}
}

func TestReaderOfSomethingElse(t *testing.T) {
	out := newOutput(t, Options{})
	_, w := pipe(t)
	if _, err := out.Begin().Read(Stdout, w); err == nil {
		t.Error("the writing end was read without error")
	}
	if _, err := out.Begin().Read(streams, w); err == nil {
		t.Error("no such stream, no error")
	}
}

func TestNewRefusesNames(t *testing.T) {
	for _, name := range []string{"", ".", "../x", "a/b", "a\x00"} {
		if _, err := New(Options{Service: name}); err == nil {
			t.Errorf("service %q was accepted", name)
		}
	}
	out := newOutput(t, Options{})
	if out.Path() != "" || out.Reopen() != ErrNoFile || out.Flush(ctx(t)) != nil {
		t.Error("without a file")
	}
}

func TestIdleMemory(t *testing.T) {
	const n = 500
	dir := t.TempDir()
	buffers := new(Buffers)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	outs, readers := make([]*Output, n), make([]*Reader, 0, 2*n)
	for i := range outs {
		outs[i] = newOutput(t, Options{Service: fmt.Sprint("s", i), Directory: dir, Buffers: buffers})
		instance := outs[i].Begin()
		for s := range streams {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = w.Close() }()
			reader, err := instance.Read(s, r)
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Close()
			readers = append(readers, reader)
		}
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := (int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)) / n
	t.Logf("%d bytes per idle service with two streams", per)
	// About 8 KB; the race detector and the heap's pages add to it. A held
	// buffer would be 64 KiB.
	if per > 24<<10 {
		t.Errorf("%d bytes per idle service", per)
	}
	for _, r := range readers {
		_ = r.Close()
		done(t, r)
	}
}

func TestStreamString(t *testing.T) {
	if Stdout.String() != "stdout" || Stderr.String() != "stderr" {
		t.Error("wrong words")
	}
}

// fullDisk runs in a mount namespace of its own: a file system of 1 MiB fills
// up and is emptied again.
func fullDisk(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		return err
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 700<<10), 0o600); err != nil {
		return err
	}
	out, err := New(Options{Service: "web", Directory: dir, Buffer: 128 << 10})
	if err != nil {
		return err
	}
	i := out.Begin()
	line := []byte(strings.Repeat("z", 1023) + "\n")
	deadline := time.Now().Add(patience)
	for n := 0; ; n++ {
		out.ingest(i, Stdout, line)
		if s := out.Stats(); s.Errors > 0 && s.Dropped.Lines > 1000 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the disk does not fill: %+v", out.Stats())
		}
	}
	s := out.Stats()
	if !s.Failing || !strings.Contains(s.LastError.Error(), "no space") {
		return fmt.Errorf("not failing: %+v", s)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	flush, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := out.Flush(flush); err != nil { // the retry comes after a second
		return err
	}
	if err := out.Close(flush); err != nil {
		return err
	}
	b, err := os.ReadFile(out.Path())
	if err != nil {
		return err
	}
	s = out.Stats()
	// A slow moment before the disk was full may have made a gap of its own.
	var told Loss
	for _, m := range regexp.MustCompile(`(?m)^\[vigil: dropped (\d+) bytes \((\d+) lines\)\]$`).FindAllSubmatch(b, -1) {
		n, _ := strconv.ParseInt(string(m[1]), 10, 64)
		l, _ := strconv.ParseInt(string(m[2]), 10, 64)
		told.Bytes, told.Lines = told.Bytes+n, told.Lines+l
	}
	kept := int64(bytes.Count(b, []byte{'z'}))
	switch {
	case s.Failing:
		return fmt.Errorf("still failing: %+v", s)
	case !bytes.Contains(b, []byte("[vigil: not writable for ")):
		return fmt.Errorf("no note of the full disk in %d bytes", len(b))
	case told != s.Dropped:
		return fmt.Errorf("the log tells of %+v dropped: %+v", told, s)
	case kept+s.Dropped.Bytes-s.Dropped.Lines != s.Lines*1023:
		return fmt.Errorf("%d bytes kept, %+v", kept, s)
	}
	return nil
}

func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	c := role("fulldisk", "LOGS_DIR="+t.TempDir())
	c.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if err := c.Run(); err != nil {
		t.Errorf("on a full disk: %v", err)
	}
}
