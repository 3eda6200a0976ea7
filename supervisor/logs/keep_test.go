package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// textOf reads a rotated file, compressed or not.
func textOf(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(name, packed) {
		return string(b)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if b, err = d.DecodeAll(b, nil); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// whole is everything that is kept, oldest first.
func whole(t *testing.T, path string) string {
	t.Helper()
	var b strings.Builder
	names := append([]string{path}, rotated(path)...)
	for i := len(names) - 1; i >= 0; i-- {
		b.WriteString(textOf(t, names[i]))
	}
	return b.String()
}

func numbers(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %06d\n", i)
	}
	return b.String()
}

func TestRotatedFilesAreCompressed(t *testing.T) {
	var c Compressor
	l := &file{path: filepath.Join(t.TempDir(), "web.log"), mode: 0o640, maxSize: 12_000, keep: 20, compressor: &c}
	for i := range 100 {
		if _, err := writeTo(l, []byte(numbers(i*100, i*100+100))); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if err := l.compressError(); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 10; i++ {
		st, err := os.Stat(l.numbered(i) + packed)
		if err != nil || st.Mode().Perm() != 0o640 || isThere(l.numbered(i)) {
			t.Errorf("file %d: %v", i, err)
		}
	}
	if got := whole(t, l.path); got != numbers(0, 10_000) {
		t.Errorf("%d bytes are kept", len(got))
	}
	if tool, err := exec.LookPath("zstd"); err == nil { // whoever has it reads ours
		out, err := exec.Command(tool, "-dcq", l.numbered(1)+packed).Output()
		if err != nil || string(out) != textOf(t, l.numbered(1)+packed) {
			t.Errorf("zstd: %v, %d bytes", err, len(out))
		}
	}
	_ = l.close()
}

// A death at any step of rotation or compression leaves a state from which the
// next start finds every file once.
func TestBrokenOffRotationAndCompression(t *testing.T) {
	for name, breakOff := range map[string]func(l *file) error{
		"half a compressed file": func(l *file) error {
			return os.WriteFile(l.scratch(), []byte("half"), 0o600)
		},
		"named, original still there": func(l *file) error {
			f, err := os.Open(l.numbered(2))
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			var never atomic.Bool
			out, err := os.Create(l.numbered(2) + packed)
			if err != nil {
				return err
			}
			return errors.Join(l.fill(out, f, 0, &never), out.Close())
		},
		"between the renames of a rotation": func(l *file) error {
			return os.Rename(l.numbered(2), l.numbered(3))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "web.log")
			first := &file{path: path, mode: 0o600, maxSize: 1200, keep: 10}
			if _, err := writeTo(first, []byte(numbers(0, 250))); err != nil {
				t.Fatal(err)
			}
			_ = first.close()
			if err := breakOff(first); err != nil {
				t.Fatal(err)
			}
			var c Compressor
			out := newOutput(t, Options{Directory: filepath.Dir(path), MaxSize: 1200, Keep: 10, Compress: &c})
			i := out.Begin()
			out.ingest(i, Stdout, []byte(numbers(250, 500)))
			if err := errors.Join(out.Flush(ctx(t)), c.Flush(ctx(t)), out.Stats().CompressError); err != nil {
				t.Fatal(err)
			}
			if got := whole(t, path); got != numbers(0, 500) {
				t.Errorf("%q", got)
			}
			if isThere(first.scratch()) {
				t.Error("the half file is still there")
			}
		})
	}
}

func TestCompressorStops(t *testing.T) {
	var c Compressor
	c.stop.Store(true)
	l := &file{path: filepath.Join(t.TempDir(), "web.log"), keep: 3, mode: 0o600}
	if err := os.WriteFile(l.numbered(1), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.packAll(&c.stop)
	if !errors.Is(l.packing, errStopped) || isThere(l.scratch()) || content(t, l.numbered(1)) != "x" {
		t.Errorf("%v", l.packing)
	}
	if err := c.Close(ctx(t)); err != nil {
		t.Error(err)
	}
}

// logrotate itself, by both of its ways.
func TestLogrotate(t *testing.T) {
	tool, err := exec.LookPath("logrotate")
	if err != nil {
		t.Skip("logrotate is not installed")
	}
	for _, way := range []string{"copytruncate", "create"} {
		t.Run(way, func(t *testing.T) {
			dir := t.TempDir()
			l := &file{path: filepath.Join(dir, "web.log"), mode: 0o600, maxSize: 1 << 20}
			put := func(from, to int) {
				if _, err := writeTo(l, []byte(numbers(from, to))); err != nil {
					t.Fatal(err)
				}
			}
			put(0, 100)
			config := filepath.Join(dir, "rotate.conf")
			if err := os.WriteFile(config, fmt.Appendf(nil, "%s {\nrotate 3\n%s\nsu root root\n}\n", l.path, way), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(tool, "-f", "-s", filepath.Join(dir, "state"), config).CombinedOutput(); err != nil {
				t.Skipf("logrotate: %v: %s", err, out)
			}
			if stale := l.stale(); (len(stale) == 1 && strings.Contains(stale[0], "web.log.1")) != (way == "create") {
				t.Errorf("stale: %q", stale)
			}
			if way == "create" {
				if err := l.reopen(); err != nil {
					t.Fatal(err)
				}
			}
			if stale := l.stale(); len(stale) != 0 {
				t.Errorf("stale after reopen: %q", stale)
			}
			put(100, 200)
			if content(t, l.path+".1") != numbers(0, 100) || content(t, l.path) != numbers(100, 200) || l.size != 1200 {
				t.Errorf("%q, size %d", content(t, l.path), l.size)
			}
			_ = l.close()
			// By time it is found in all files, whoever renamed them.
			h, err := Since(l.path, time.Now().Add(-time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			var b bytes.Buffer
			if _, err := h.WriteTo(&b); err != nil || b.String() != numbers(0, 200) {
				t.Errorf("%d bytes, %v", b.Len(), err)
			}
		})
	}
}

// at writes lines as if they had been read at some second.
func at(t *testing.T, l *file, second int64, text string) {
	t.Helper()
	c := &chunk{record: new(record), data: []byte(text)}
	c.hasRead(len(text))
	c.wall.Store(uint64(second * int64(time.Second)))
	if err := l.write(c, len(text)); err != nil {
		t.Fatal(err)
	}
}

func since(t *testing.T, path string, second int64) (string, []string) {
	t.Helper()
	h, err := Since(path, time.Unix(second, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var b bytes.Buffer
	if _, err := h.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String(), h.Notes
}

func TestSince(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		t.Run(fmt.Sprint("compressed ", compressed), func(t *testing.T) {
			var c Compressor
			l := &file{path: filepath.Join(t.TempDir(), "web.log"), mode: 0o600, maxSize: 6000, keep: 10}
			if compressed {
				l.compressor = &c
			}
			const begin, n = 1000, 2000
			for i := range n { // one line a second, 500 a file
				at(t, l, begin+int64(i), numbers(i, i+1))
			}
			_ = l.close()
			if err := c.Flush(ctx(t)); err != nil {
				t.Fatal(err)
			}
			for _, i := range []int{0, 1, 250, 499, 500, 501, 1499, 1500, n - 1} {
				got, notes := since(t, l.path, begin+int64(i))
				if got != numbers(i, n) || len(notes) != 0 {
					t.Errorf("since line %d: %d lines, beginning with %.20q, notes %q", i, strings.Count(got, "\n"), got, notes)
				}
			}
			if got, _ := since(t, l.path, time.Now().Unix()+3600); got != "" {
				t.Errorf("%q in the future", got)
			}
			if got, notes := since(t, l.path, 1); got != numbers(0, n) || len(notes) != 0 {
				t.Errorf("%d bytes, %q", len(got), notes)
			}
			// Without indexes, or with damaged ones, everything is shown, and said.
			indexes, _ := filepath.Glob(filepath.Join(filepath.Dir(l.path), ".web.log.index*"))
			for i, name := range indexes {
				if err := os.WriteFile(name, []byte(strings.Repeat("garbage!", i*5)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, notes := since(t, l.path, begin+1990)
			if !strings.HasSuffix(got, numbers(1990, n)) || len(notes) == 0 {
				t.Errorf("%d bytes, %q", len(got), notes)
			}
		})
	}
}

func TestSinceNothing(t *testing.T) {
	if _, err := Since(filepath.Join(t.TempDir(), "web.log"), time.Now()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestIndexIsBounded(t *testing.T) {
	l := &file{path: filepath.Join(t.TempDir(), "web.log"), mode: 0o600}
	for i := range 5 * maxEntries {
		at(t, l, int64(i)*10, "x\n")
	}
	if st, err := os.Stat(currentIndex(l.path)); err != nil || st.Size() > maxIndexSize {
		t.Errorf("%v bytes, %v", st.Size(), err)
	}
	_ = l.close()
	got, _ := since(t, l.path, 10*4*maxEntries)
	if n := strings.Count(got, "x"); n < maxEntries || n > maxEntries+16 {
		t.Errorf("%d lines", n)
	}
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte{})
	f.Add(encodeIndex(7, []entry{{1, 0}, {2, 100}, {2, 100}}))
	f.Add(encodeIndex(7, []entry{{2, 0}, {1, 100}}))
	f.Add(append(encodeIndex(7, []entry{{2, 0}}), 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, entries, err := decodeIndex(b)
		if err != nil {
			return
		}
		last := int64(0)
		for _, e := range entries {
			if e.offset < last || e.wall < 0 {
				t.Fatalf("%+v", entries)
			}
			last = e.offset
			if offset, ok := find(entries, e.wall); !ok || offset < e.offset {
				t.Fatalf("%+v: %d, %v", e, offset, ok)
			}
		}
	})
}

func FuzzPacked(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x50, 0x2A, 0x4D, 0x18, 0xff, 0xff, 0xff, 0xff, 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		r := bytes.NewReader(b)
		if index, err := indexFrame(r); err == nil {
			_, _, _ = decodeIndex(index)
		}
		_, _ = io.Copy(io.Discard, r)
	})
}

// floor runs in a mount namespace of its own, on a file system of 4 MiB.
func floor(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		return err
	}
	out, err := New(Options{Service: "web", Directory: dir, Buffer: 256 << 10, MaxSize: 512 << 10, Keep: 100, MinFree: Free{Bytes: 1 << 20}})
	if err != nil {
		return err
	}
	i, n := out.Begin(), 0
	put := func(lines int) {
		for range lines {
			out.ingest(i, Stdout, []byte(numbers(n, n+1)))
			n++
		}
	}
	// Far more than fits: the oldest rotated files go, and nothing fails.
	for range 60 {
		put(10_000)
		if err := out.Flush(background); err != nil {
			return err
		}
	}
	space := func() int64 {
		var st unix.Statfs_t
		_ = unix.Statfs(dir, &st)
		return int64(st.Bavail) * st.Bsize
	}
	if s := out.Stats(); s.Failing || len(rotated(out.Path())) == 0 {
		return fmt.Errorf("rotated files %q, %+v", rotated(out.Path()), s)
	}
	if free := space(); free < 600<<10 {
		return fmt.Errorf("%d bytes are free", free)
	}
	// Somebody else takes the space: after the rotated files nothing more goes.
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		return err
	}
	defer func() { _ = ballast.Close() }()
	for deadline := time.Now().Add(patience); !out.Stats().Failing; {
		if space() > 512<<10 {
			_, _ = ballast.Write(make([]byte, 64<<10))
		}
		put(1000)
		if time.Now().After(deadline) {
			return fmt.Errorf("it writes on: %+v", out.Stats())
		}
	}
	var below *ErrFloor
	if err := out.Stats().LastError; !errors.As(err, &below) || len(rotated(out.Path())) > 0 {
		return fmt.Errorf("%w, rotated files %q", err, rotated(out.Path()))
	}
	put(100_000)
	if err := ballast.Truncate(0); err != nil {
		return err
	}
	if err := out.Close(background); err != nil {
		return err
	}
	// The mark may be in a file that was full soon afterwards.
	var b []byte
	for _, path := range append(rotated(out.Path()), out.Path()) {
		part, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b = append(b, part...)
	}
	if !bytes.Contains(b, []byte("[vigil: dropped ")) || !bytes.Contains(b, []byte("[vigil: not writable for ")) || !bytes.Contains(b, []byte(numbers(n-1, n))) {
		return fmt.Errorf("no marks, or not the newest line: %d bytes, %+v", len(b), out.Stats())
	}
	return nil
}

func TestFloor(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	c := role("floor", "LOGS_DIR="+t.TempDir())
	c.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if err := c.Run(); err != nil {
		t.Errorf("with a floor: %v", err)
	}
}

func TestFreeCompares(t *testing.T) {
	for _, c := range []struct {
		f         Free
		have, all int64
		ok        bool
	}{
		{Free{}, 0, 100, true},
		{Free{Bytes: 10}, 9, 100, false},
		{Free{Bytes: 10}, 10, 100, true},
		{Free{Percent: 5}, 4, 100, false},
		{Free{Percent: 5}, maxFloor, 1 << 45, true},
	} {
		if err := c.f.compare(c.have, c.all); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
