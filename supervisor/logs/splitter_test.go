package logs

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// split feeds p in pieces of n bytes; the time is the number of the piece.
func split(p []byte, n int) (lines []Line, rest string) {
	var s splitter
	for i := 0; len(p) > 0; i++ {
		k := min(n, len(p))
		s.feed(p[:k], stamp{boot: time.Duration(i)}, func(l piece) { lines = append(lines, l.line(Stdout, false)) })
		p = p[k:]
	}
	return lines, string(s.partial)
}

func TestSplitter(t *testing.T) {
	lines, rest := split([]byte("one\n\ntwo\nthree"), 2)
	if got := texts(lines); !slices.Equal(got, []string{"one", "", "two"}) || rest != "three" {
		t.Errorf("%q, %q", got, rest)
	}
	if lines[0].Boot != 0 || lines[2].Boot != 2 {
		t.Errorf("a line has the time of its first byte: %v", lines)
	}
}

func TestSplitterCutsLongLines(t *testing.T) {
	long := strings.Repeat("x", 3*MaxLine)
	for _, n := range []int{1000, MaxLine, MaxLine + 1, 1 << 20} {
		lines, rest := split([]byte("a\n"+long+"\nb\n"+long[:MaxLine]+"\n"), n)
		if len(lines) != 4 || rest != "" {
			t.Fatalf("%d lines, rest %d", len(lines), len(rest))
		}
		if l := lines[1]; !l.Cut || len(l.Text) != MaxLine {
			t.Errorf("by %d: cut %v, %d bytes", n, l.Cut, len(l.Text))
		}
		if l := lines[3]; lines[2].Text != "b" || l.Cut || len(l.Text) != MaxLine {
			t.Errorf("by %d: after the long line: %v %d", n, l.Cut, len(l.Text))
		}
	}
}

func FuzzSplitter(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"), 1)
	f.Add(bytes.Repeat([]byte("y"), MaxLine+5), 7000)
	f.Fuzz(func(t *testing.T, p []byte, n int) {
		if n < 1 {
			n = 1
		}
		got, rest := split(p, n)
		want := strings.Split(string(p), "\n")
		if len(got) != len(want)-1 && !(len(got) == len(want) && got[len(got)-1].Cut) {
			t.Fatalf("%d lines of %d", len(got), len(want)-1)
		}
		for i, l := range got {
			if l.Text != want[i][:min(len(want[i]), MaxLine)] {
				t.Errorf("line %d differs", i)
			}
		}
		if len(rest) > MaxLine {
			t.Errorf("%d bytes held", len(rest))
		}
	})
}
