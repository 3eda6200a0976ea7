package logs

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The ring keeps exactly the newest lines that fit.
func TestTailProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := tail{max: rapid.IntRange(30, 20000).Draw(t, "max")}
		var model []Line
		for i := range rapid.IntRange(1, 300).Draw(t, "n") {
			text := fmt.Sprintf("%*d", rapid.IntRange(0, min(300, r.max-headerSize)).Draw(t, "len"), i)
			if len(text) > r.max-headerSize {
				continue
			}
			s := Stream(rapid.IntRange(0, 1).Draw(t, "s"))
			partial := rapid.Bool().Draw(t, "partial")
			p := piece{text: []byte(text), at: stamp{wall: int64(i), boot: time.Duration(i)}, cut: rapid.Bool().Draw(t, "cut")}
			r.push(p, s, partial)
			model = append(model, p.line(s, partial))
			used := 0
			for k := len(model) - 1; k >= 0; k-- {
				if used += headerSize + len(model[k].Text); used > r.max {
					model = model[k+1:]
					break
				}
			}
		}
		got := r.last(-1)
		if len(got) != len(model) || len(r.buf) > r.max {
			t.Fatalf("%d lines, want %d; %d bytes of %d", len(got), len(model), len(r.buf), r.max)
		}
		for i := range got {
			if got[i] != model[i] {
				t.Fatalf("line %d: %+v, want %+v", i, got[i], model[i])
			}
		}
		if n := len(model) / 2; n > 0 && r.last(n)[0] != model[len(model)-n] {
			t.Fatal("last(n) does not begin where it should")
		}
	})
}

func TestTailTakesNothingAtFirst(t *testing.T) {
	r := tail{max: DefaultTail}
	if r.buf != nil || len(r.last(-1)) != 0 {
		t.Error("an empty tail has memory")
	}
	r.push(piece{text: []byte("x")}, Stdout, false)
	if len(r.buf) != firstTail {
		t.Errorf("%d bytes for one line", len(r.buf))
	}
}
