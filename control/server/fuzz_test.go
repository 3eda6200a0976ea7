package server

import (
	"bytes"
	"testing"
)

// FuzzDecodeAsk: whatever is sent is refused, or an order that can be carried out.
func FuzzDecodeAsk(f *testing.F) {
	f.Add([]byte(`{"verb":"stop","services":["web"],"wait":true}`))
	f.Add([]byte(`{"verb":"dance","services":[""]}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := decodeAsk(bytes.NewReader(body))
		if err != nil {
			return
		}
		if len(a.Services) == 0 || len(a.Services) > MaxServices || a.Verb == "" {
			t.Errorf("%q became %+v", body, a)
		}
	})
}
