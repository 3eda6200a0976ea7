package supervisor

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/control"
)

func TestEventLog(t *testing.T) {
	l, err := newEventLog(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.f.Close()
	at := time.Now().UTC()
	for i := range maxEvents + 10 {
		if err := l.add(control.Event{Seq: uint64(i + 1), Time: at, Service: "a", Kind: "state", Text: fmt.Sprint("event ", i+1)}); err != nil {
			t.Fatal(err)
		}
	}
	whole := l.size
	// A kill has cut the last line.
	if _, err := l.f.WriteAt([]byte(`{"seq":9999,"time"`), whole); err != nil {
		t.Fatal(err)
	}
	p, err := readEvents(l.f)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.List) != maxEvents || p.Seq != maxEvents+10 || p.Size != whole {
		t.Errorf("%d events up to %d in %d bytes, want %d up to %d in %d", len(p.List), p.Seq, p.Size, maxEvents, maxEvents+10, whole)
	}
	if last := p.List[len(p.List)-1]; last.Text != fmt.Sprint("event ", maxEvents+10) || !last.Time.Equal(at) {
		t.Errorf("the last is %+v", last)
	}
	// The successor's next line takes the place of the cut one.
	l.size = p.Size
	if err := l.add(control.Event{Seq: p.Seq + 1, Text: strings.Repeat("x", 100)}); err != nil {
		t.Fatal(err)
	}
	if p, err = readEvents(l.f); err != nil || p.Seq != maxEvents+11 {
		t.Errorf("%d, %v", p.Seq, err)
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add([]byte(`{"seq":1}` + "\n" + `{"seq":2}` + "\n" + `{"se`))
	f.Add([]byte(`{"seq":2}` + "\n" + `{"seq":2}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := readEvents(bytes.NewReader(text))
		if err == nil && (p.Size > int64(len(text)) || len(p.List) > maxEvents) {
			t.Errorf("%d bytes, %d events", p.Size, len(p.List))
		}
	})
}
