package logs

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The ring keeps the newest output; what it makes of it is the end of what a
// splitter makes of all, line by line and stream by stream.
func TestTailProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := tail{max: rapid.IntRange(100, 20000).Draw(t, "max")}
		var model [streams][]string
		var split [streams]splitter
		for i := range rapid.IntRange(1, 100).Draw(t, "n") {
			s := Stream(rapid.IntRange(0, 1).Draw(t, "s"))
			p := []byte(rapid.StringOfN(rapid.RuneFrom([]rune("ab\n")), 0, 300, -1).Draw(t, "p"))
			r.push(p, stamp{wall: int64(i)}, s)
			split[s].feed(p, stamp{}, func(p piece) { model[s] = append(model[s], string(p.text)) })
			if r.used > r.max || len(r.buf) > r.max {
				t.Fatalf("%d bytes of %d", r.used, r.max)
			}
		}
		all, left := r.lines()
		for s := range streams {
			var got []string
			for _, l := range all {
				if l.Stream == s {
					got = append(got, l.Text)
				}
			}
			if len(got) > len(model[s]) || !slices.Equal(got, model[s][len(model[s])-len(got):]) {
				t.Fatalf("%s: %q is not the end of %q", s, got, model[s])
			}
			if left[s].partial != nil && !bytes.Equal(left[s].partial, split[s].partial) {
				t.Fatalf("%s: partial %q, want %q", s, left[s].partial, split[s].partial)
			}
		}
	})
}

func TestTailKeepsTheEndOfAFlood(t *testing.T) {
	r := tail{max: DefaultTail}
	line := strings.Repeat("x", 99) + "\n"
	r.push([]byte(strings.Repeat(line, 1300)), stamp{}, Stdout)
	all, _ := r.lines()
	// All but the headers of its parts, and at most one part.
	if least := (DefaultTail - partSize - 20*headerSize) / 100; len(all) < least || len(all[0].Text) != 99 {
		t.Errorf("%d lines, want at least %d", len(all), least)
	}
	r.push([]byte("unfinished"), stamp{}, Stdout)
	r.end(Stdout)
	all, _ = r.lines()
	if l := all[len(all)-1]; l.Text != "unfinished" || !l.Partial {
		t.Errorf("%+v", l)
	}
}

func TestTailTakesNothingAtFirst(t *testing.T) {
	r := tail{max: DefaultTail}
	if all, _ := r.lines(); r.buf != nil || len(all) != 0 {
		t.Error("an empty tail has memory")
	}
	r.push([]byte("x"), stamp{}, Stdout)
	if len(r.buf) != firstTail {
		t.Errorf("%d bytes for one line", len(r.buf))
	}
}
