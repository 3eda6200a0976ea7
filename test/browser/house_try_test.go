package browser

import "testing"

func TestHouse(t *testing.T) {
	h := open(t)
	for s, i := range h.incidents {
		t.Logf("%s: %s %s", s, i.Cause, i.Sentence)
	}
}
