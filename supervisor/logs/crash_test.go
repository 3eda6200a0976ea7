package logs

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// killed is the role of a supervisor that will be killed: descriptor 3 is the
// memory, 4 the pipe. It ends when the service has.
func killed(dir string) error {
	buffers, err := Attach(os.NewFile(3, "memory"))
	if err != nil {
		return err
	}
	out, err := New(Options{Service: "web", Directory: dir, MaxSize: 300_000, Keep: 1000, Buffers: buffers, Patience: patience})
	if err != nil {
		return err
	}
	r, err := out.Begin().Read(Stdout, os.NewFile(4, "pipe"))
	if err != nil {
		return err
	}
	fmt.Println("reading")
	<-r.Done()
	for out.queue.flush(background) != nil {
	}
	return out.Close(background)
}

// TestKilledReader kills the reading process fifty times while a service
// writes: no line is lost, torn or doubled.
func TestKilledReader(t *testing.T) {
	const kills = 50
	dir := t.TempDir()
	memory, err := NewMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = memory.Close() }()
	r, w := pipe(t)
	service := role("endless")
	service.Stdout = w
	stop, err := service.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	reader := func() *exec.Cmd {
		c := role("killed", "LOGS_DIR="+dir)
		c.ExtraFiles = []*os.File{memory, r}
		said, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(said).ReadString('\n'); err != nil {
			t.Fatalf("%q, %v", line, err)
		}
		return c
	}
	for range kills {
		c := reader()
		<-time.After(time.Duration(rand.IntN(20_000)) * time.Microsecond) // any moment will do
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	_ = stop.Close()
	last := reader()
	if err := service.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := last.Wait(); err != nil {
		t.Fatal(err)
	}
	checkNumbers(t, filepath.Join(dir, "web.log"))
}

// checkNumbers: lines 0, 1, 2 ... without anything else, over all files.
func checkNumbers(t *testing.T, path string) {
	t.Helper()
	var all []byte
	names := append([]string{path}, rotated(path)...)
	for i := len(names) - 1; i >= 0; i-- {
		b, err := os.ReadFile(names[i])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	want, bad := 0, 0
	for line := range bytes.Lines(all) {
		n, err := strconv.Atoi(strings.TrimSuffix(string(line), "\n"))
		if err != nil || n != want || line[len(line)-1] != '\n' {
			if bad++; bad < 5 {
				t.Errorf("line %q, want %d", line, want)
			}
			want = n
		}
		want++
	}
	if want < 1000 {
		t.Errorf("only %d lines", want)
	}
	t.Logf("%d lines in %d files", want, len(names))
}

// endless writes numbered lines until its input ends.
func endless() {
	done := make(chan struct{})
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		close(done)
	}()
	for i := 0; ; {
		var b []byte
		for range rand.IntN(300) {
			b = fmt.Appendf(b, "%0*d\n", 1+rand.IntN(60), i)
			i++
		}
		if _, err := os.Stdout.Write(b); err != nil {
			os.Exit(1)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

// Records are checked before they are believed, whatever lies in the memory.
func FuzzMemory(f *testing.F) {
	f.Add([]byte{}, uint64(0))
	f.Add(bytes.Repeat([]byte{1}, recordSize), uint64(1))
	f.Add(bytes.Repeat([]byte{0xff}, recordSize), uint64(memoryMagic))
	f.Fuzz(func(t *testing.T, b []byte, magic uint64) {
		memory, err := NewMemory()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = memory.Close() }()
		var head []byte
		for i := range 8 {
			head = append(head, byte(magic>>(8*i)))
		}
		_, _ = memory.WriteAt(head, 0)
		_, _ = memory.WriteAt(b[:min(len(b), 4*recordSize)], recordsAt)
		buffers, err := Attach(memory)
		if err != nil {
			return
		}
		defer buffers.detach()
		for _, c := range buffers.inherits {
			c.settleWrite(func(uint64) (int64, bool) { return 1 << 40, true })
			_ = c.waiting()
		}
		buffers.Forget()
		if len(buffers.free) != memoryChunks {
			t.Errorf("%d chunks are free", len(buffers.free))
		}
	})
}
