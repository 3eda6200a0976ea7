package counters

import (
	"os"
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func TestParse(t *testing.T) {
	var c snapshot.Counters
	parse("Ip: Forwarding\nIp: 1\nTcp: InSegs RetransSegs InCsumErrors\nTcp: 7 8 9\nTcpExt: ListenOverflows\nTcpExt: 3\nodd\n", &c)
	if c.InSegs != 7 || c.RetransSegs != 8 || c.InCsumErrors != 9 || c.ListenOverflows != 3 {
		t.Errorf("%+v", c)
	}
	if d := Since(c, snapshot.Counters{InSegs: 2, RetransSegs: 100}); d.InSegs != 5 || d.RetransSegs != 0 {
		t.Errorf("%+v", d)
	}
}

func TestRead(t *testing.T) {
	if _, err := Read(os.Getpid()); err != nil {
		t.Error(err)
	}
	if _, err := Read(1 << 30); err == nil {
		t.Error("counters of nobody")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Tcp: InSegs\nTcp: 7\n")
	f.Fuzz(func(_ *testing.T, text string) {
		var c snapshot.Counters
		parse(text, &c)
	})
}
