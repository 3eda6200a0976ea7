package protocol

import (
	"encoding/json"
	"testing"
	"time"
)

func FuzzDecodeHang(f *testing.F) {
	whole, err := json.Marshal(Hang{PID: 7, Ticks: 1, Epoch: 2, Time: time.Unix(1e9, 0), Silent: time.Second, Uptime: time.Hour})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"pid":-1}`))
	f.Add([]byte(`{"pid":1,"time":"0001-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := DecodeHang(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := DecodeHang(again); err != nil || same != h {
			t.Errorf("%+v became %+v, %v", h, same, err)
		}
	})
}
