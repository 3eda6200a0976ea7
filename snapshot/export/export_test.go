package export

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/klauspost/compress/zstd"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func example() (snapshot.Incident, snapshot.Stacks, snapshot.Process) {
	frame := func(f, file string, line int) snapshot.Frame {
		return snapshot.Frame{Place: snapshot.Place{Function: f, File: file, Line: line}, Locals: []snapshot.Variable{{Name: "x", Value: "7"}}}
	}
	s := snapshot.Stacks{Schema: 1, Runtime: "go", Total: 4, Unwound: 4, Groups: []snapshot.Group{
		{Count: 3, Status: "waiting", WaitReason: "sync.Mutex.Lock", IDs: []int64{7, 8}, WaitMax: 125, Sample: 7, CreatedBy: &snapshot.Place{Function: "main.main", File: "/src/main.go", Line: 9},
			Frames: []snapshot.Frame{frame("runtime.gopark", "/go/proc.go", 1), frame("main.(*Bank).pay", "/src/bank.go", 40)}, Labels: []string{"peer=10.1.2.3"}},
		{Count: 1, Status: "running", IDs: []int64{1}, Frames: []snapshot.Frame{frame("main.<script>|`x`", "/src/a|b.go", 2)}, Cut: true},
	}}
	i := snapshot.Incident{Schema: 1, ID: "20261125T080000.000000Z-bank-0001", Service: "bank", Time: time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC),
		Host: "db-host-7", Cause: snapshot.CauseHang, Sentence: "hang: no word from 10.1.2.3:80 on db-host-7 <b>`", Command: []string{"bank", "--peer=fe80::1", "127.0.0.1:80"}, Uptime: 60}
	p := snapshot.Process{Environment: []string{"HOME=/root", "odd"}, FDs: []snapshot.FD{{Number: 3, Target: "10.1.2.3:99"}}}
	return i, s, p
}

func TestText(t *testing.T) {
	_, s, _ := example()
	var b bytes.Buffer
	if err := Text(&b, s); err != nil {
		t.Fatal(err)
	}
	want := "goroutine 7 [sync.Mutex.Lock, 2 minutes]:\nmain.(*Bank).pay(...)\n\t/src/bank.go:40\ncreated by main.main\n\t/src/main.go:9\n\ngoroutine 8 ["
	if !strings.HasPrefix(b.String(), want) || !strings.Contains(b.String(), "...1 more with this stack...") || !strings.Contains(b.String(), "additional frames elided") {
		t.Errorf("%s", b.String())
	}
}

func TestPprof(t *testing.T) {
	i, s, _ := example()
	var b bytes.Buffer
	if err := Pprof(&b, i, s); err != nil {
		t.Fatal(err)
	}
	p, err := profile.Parse(&b)
	if err != nil || len(p.Sample) != 2 || p.Sample[0].Value[0] != 3 || p.Sample[0].Location[1].Line[0].Function.Name != "main.(*Bank).pay" {
		t.Errorf("%v, %v", p, err)
	}
	if l := p.Sample[0].Label; l["wait_reason"][0] != "sync.Mutex.Lock" || l["created_by"][0] != "main.main" {
		t.Errorf("%v", l)
	}
}

func TestMarkdown(t *testing.T) {
	i, s, _ := example()
	var b bytes.Buffer
	if err := Markdown(&b, i, &s); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "    ") && strings.ContainsAny(line, "<>`") {
			t.Errorf("raw text of the program outside of a block: %q", line)
		}
	}
	if !strings.Contains(text, "3 goroutines, waiting sync.Mutex.Lock") {
		t.Errorf("%s", text)
	}
}

func TestShare(t *testing.T) {
	i, s, p := example()
	removed := Share(&i, &s, &p)
	all := strings.Join(append([]string{i.Sentence, i.Host, s.Groups[0].Labels[0], p.FDs[0].Target, strings.Join(p.Environment, " ")}, i.Command...), "\n")
	for _, never := range []string{"10.1.2.3", "db-host-7", "fe80", "/root"} {
		if strings.Contains(all, never) {
			t.Errorf("%q is still in\n%s", never, all)
		}
	}
	if !strings.Contains(i.Sentence, "address-1:80") || !strings.HasPrefix(p.FDs[0].Target, "address-1") && !strings.HasPrefix(p.FDs[0].Target, "address-2") || !slices.Contains(i.Command, "127.0.0.1:80") {
		t.Errorf("%s", all)
	}
	if s.Groups[0].Frames[0].Locals != nil || len(removed) != 4 {
		t.Errorf("%+v, removed %q", s.Groups[0].Frames[0], removed)
	}
}

// TestShareEverywhere: an address or the host's name stands in no field that
// leaves, whichever it is.
func TestShareEverywhere(t *testing.T) {
	i, s, p := example()
	i.Card = &snapshot.Card{Sentence: "10.1.2.3", Evidence: []snapshot.CardFact{{Text: "db-host-7"}}, LookAt: []string{"10.1.2.3"}}
	s.Notes, s.Crash = []string{"10.1.2.3"}, &snapshot.Crash{Message: "db-host-7"}
	s.Waits = []snapshot.Wait{{Name: "10.1.2.3"}}
	s.Groups[0].Members = []snapshot.Member{{Labels: []string{"10.1.2.3"}}}
	s.Threads = []snapshot.Thread{{Frames: []snapshot.Frame{{Locals: []snapshot.Variable{{Value: "secret-value"}}}}}}
	p.Cwd, p.Maps = "/srv/db-host-7", []string{"10.1.2.3"}
	output := "peer 10.1.2.3"
	Share(&i, &s, &p, &output)
	text, err := json.Marshal([]any{i, s, p, output})
	if err != nil {
		t.Fatal(err)
	}
	for _, never := range []string{"10.1.2.3", "db-host-7", "secret-value", "odd"} {
		if bytes.Contains(text, []byte(never)) {
			t.Errorf("%q is still in\n%s", never, text)
		}
	}
}

func TestBundle(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"incident.json": "{}", "stacks.json": "old", "core": "secret", "output.txt": strings.Repeat("x", 100_000)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Bundle(&b, dir, "ID", time.Unix(0, 0), map[string]any{"stacks.json": map[string]int{"new": 1}}, false); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	got := map[string]string{}
	var order []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil || h.Mode != 0o600 {
			t.Errorf("%s: mode %o, %v", h.Name, h.Mode, err)
		}
		order, got[h.Name] = append(order, h.Name), string(text)
	}
	if len(got) != 4 || order[0] != "ID/incident.json" || !strings.Contains(got["ID/stacks.json"], `"new": 1`) || len(got["ID/output.txt"]) != 100_000 {
		t.Errorf("%v", order)
	}
}
