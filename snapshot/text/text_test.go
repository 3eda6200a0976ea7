package text

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with testdata/NAME.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew); got:\n%s", path, got)
	}
}

func render(t testing.TB, doc Document, opts Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Incident(&b, doc, opts); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestIncidentGolden(t *testing.T) {
	for name, page := range map[string][]byte{
		"bank.txt":       render(t, bank(), Options{Width: 100}),
		"bank-all.txt":   render(t, bank(), Options{All: true}),
		"bank-color.txt": render(t, bank(), Options{Width: 100, Color: true}),
		"pipeline.txt":   render(t, pipeline(), Options{Width: 100}),
		"empty.txt":      render(t, Document{}, Options{Width: 80}),
	} {
		golden(t, name, page)
	}
}

func TestListGolden(t *testing.T) {
	long := bank().Incident
	long.Service = "a\x1b[2Jb"
	incidents := []snapshot.Incident{bank().Incident, pipeline().Incident, long, {ID: "20261124T203152.123456Z-x-0000", Status: snapshot.StatusWriting}}
	for name, width := range map[string]int{"list.txt": 0, "list-120.txt": 120} {
		var b bytes.Buffer
		if err := List(&b, incidents, Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
	var b bytes.Buffer
	if err := List(&b, nil, Options{}); err != nil || b.Len() > 0 {
		t.Errorf("no incident: %q, %v", b.String(), err)
	}
}

// checkHarmless fails when a page holds anything that a terminal could obey.
func checkHarmless(t testing.TB, page []byte) {
	t.Helper()
	if !utf8.Valid(page) {
		t.Fatalf("not UTF-8: %q", page)
	}
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSuffix(line, "\n")
		if clean(line) != line {
			t.Fatalf("not harmless: %q", line)
		}
	}
}

func TestPagesAreHarmless(t *testing.T) {
	for _, doc := range []Document{bank(), pipeline(), {}} {
		for _, all := range []bool{false, true} {
			checkHarmless(t, render(t, doc, Options{Width: 80, All: all}))
		}
	}
	// With colours, what remains after taking out our own is harmless.
	page := render(t, bank(), Options{Color: true})
	ours := regexp.MustCompile("\x1b\\[[0-9]*m")
	if !ours.Match(page) {
		t.Error("no colours")
	}
	checkHarmless(t, ours.ReplaceAll(page, nil))
}

func TestColoursChangeNoText(t *testing.T) {
	page := render(t, bank(), Options{Width: 100, Color: true})
	page = regexp.MustCompile("\x1b\\[[0-9]*m").ReplaceAll(page, nil)
	if !bytes.Equal(page, render(t, bank(), Options{Width: 100})) {
		t.Error("the coloured page has other text")
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "größe 漢字": "größe 漢字", "a\tb": "a b", "a\nb\r": `a\nb\r`, "\x1b[2J": `\x1b[2J`, "\u009b2J": `\x9b2J`,
		"\x9b": `\x9b`, "\u202e": `\u202e`, "\u200b": `\u200b`, "\x7f\x00": `\x7f\x00`, "\ufffd": "\ufffd", "\u2028": `\u2028`,
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCutAndWrap(t *testing.T) {
	for _, tt := range []struct {
		in    string
		width int
		want  string
	}{{"abc", 0, "abc"}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"äöüß", 3, "äö…"}, {"ab", 1, "…"}} {
		if got := cut(tt.in, tt.width); got != tt.want {
			t.Errorf("cut(%q, %d) = %q", tt.in, tt.width, got)
		}
	}
	if got := strings.Join(wrap("a bb ccc longer-than-that d", 6), "|"); got != "a bb|ccc|longer-than-that|d" {
		t.Errorf("wrap: %s", got)
	}
	if got := wrap("", 5); len(got) != 1 || got[0] != "" {
		t.Errorf("wrap of nothing: %q", got)
	}
}

func TestFigures(t *testing.T) {
	for got, want := range map[string]string{
		size(0): "0 B", size(1023): "1023 B", size(1536): "1.5 KiB", size(5 << 40): "5.0 TiB", size(1 << 60): "1048576.0 TiB",
		span(0): "0s", span(3210 * time.Microsecond): "3.21ms", span(-2100 * time.Millisecond): "-2.1s", span(90*time.Minute + 400*time.Millisecond): "1h30m0s",
		count(1): "1", count(-999): "-999", count(1234567): "1,234,567", count(-1000): "-1,000",
		plural(1, "frame"): "1 frame", plural(0, "frame"): "0 frames",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestOwn: the page points at the same code as the sentence.
func TestOwn(t *testing.T) {
	for function, want := range map[string]bool{
		"main.run": true, "example.com/bank.(*Bank).Close": true, "github.com/a/b/c.F[...]": true,
		"net/http.(*Server).Serve": false, "sync.(*Mutex).Lock": false, "internal/sync.(*Mutex).lockSlow": false,
		"golang.org/x/net/http2.(*serverConn).serve": false, "golang.org/toolchain.F": true, "domain.F": false, "": false,
	} {
		if got := analyze.Own(function); got != want {
			t.Errorf("Own(%q) = %v, want %v", function, got, want)
		}
	}
	if got := short(snapshot.Place{Function: "main.(*worker).run-fm", File: generated, Line: 1}); got != "main.(*worker).run-fm" {
		t.Errorf("place of a wrapper: %q", got)
	}
}

// TestBounds: a large incident stays readable, and says what is not shown.
func TestBounds(t *testing.T) {
	doc := bank()
	doc.Stacks.Groups, doc.Stacks.Deadlocks = nil, nil
	for n := range 100 {
		g := snapshot.Group{Count: 2, Status: "running", IDs: []int64{1, 2}}
		for range 100 {
			g.Frames = append(g.Frames, frame(fmt.Sprintf("f%d", n), "", 0, nil, make([]snapshot.Variable, 20)))
		}
		doc.Stacks.Groups = append(doc.Stacks.Groups, g)
	}
	doc.Timeline = make([]snapshot.Moment, 1000)
	doc.Output = bytes.Repeat([]byte("line\n"), 1000)
	page := string(render(t, doc, Options{Width: 80}))
	for _, want := range []string{"... 80 groups more with 160 goroutines", "... 68 frames more", "... 4 locals more", "... 940 earlier moments more", "... 970 earlier lines more"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	if all := string(render(t, doc, Options{All: true})); strings.Contains(all, "--all") {
		t.Error("all is not all")
	}
}

// failing is a writer whose disk is full, or whose pager was left.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestWriterFails(t *testing.T) {
	gone := errors.New("gone")
	doc := bank()
	doc.Output = bytes.Repeat([]byte("line\n"), 10_000) // more than a buffer
	if err := Incident(failing{gone}, doc, Options{All: true}); !errors.Is(err, gone) {
		t.Errorf("Incident: %v", err)
	}
	if err := List(failing{gone}, []snapshot.Incident{doc.Incident}, Options{}); !errors.Is(err, gone) {
		t.Errorf("List: %v", err)
	}
}

// FuzzIncident puts arbitrary text where a target can put some.
func FuzzIncident(f *testing.F) {
	f.Add("plain", []byte("out\n"), 80, true)
	f.Add("\x1b[2J\u202e\x9b", []byte("\x1b]0;x\x07\r\n\xff"), 1, false)
	f.Add("", []byte("\n\n"), -3, true)
	f.Fuzz(func(t *testing.T, s string, output []byte, width int, all bool) {
		v := []snapshot.Variable{{Name: s, Type: s, Value: s}, {Name: s, Error: s}}
		place := snapshot.Place{Function: s, File: s}
		frames := []snapshot.Frame{{Place: place, Arguments: v, Locals: v}}
		thread := snapshot.Thread{Comm: s, State: s, Wchan: s, Syscall: s, KernelStack: []string{s}, Frames: frames}
		doc := Document{
			Incident: snapshot.Incident{ID: s, Service: s, Cause: snapshot.Cause(s), Sentence: s, Host: s, Command: []string{s}, Fingerprint: s,
				Status: snapshot.Status(s), Missing: []string{s}, Exit: &snapshot.Exit{Signal: s}, Freeze: &snapshot.Freeze{Method: s},
				Program: &snapshot.Program{Path: s, Runtime: s, Module: s}, Ran: []snapshot.Ran{{Name: s, Result: s, Reason: s}}},
			Stacks: &snapshot.Stacks{Runtime: s, Groups: []snapshot.Group{{Status: s, WaitReason: s, CreatedBy: &place, Frames: frames, Labels: []string{s}}},
				Waits: []snapshot.Wait{{Kind: s, Place: &place}}, Deadlocks: []snapshot.Cycle{{Members: []int64{0}}}, Notes: []string{s}, Threads: []snapshot.Thread{thread}},
			Process:  &snapshot.Process{Comm: s, State: s, Denied: []string{s}},
			Timeline: []snapshot.Moment{{Kind: s, Text: s}}, Output: output, Problems: []string{s},
		}
		opts := Options{Width: width, All: all}
		checkHarmless(t, render(t, doc, opts))
		var b bytes.Buffer
		if err := List(&b, []snapshot.Incident{doc.Incident}, opts); err != nil {
			t.Fatal(err)
		}
		checkHarmless(t, b.Bytes())
	})
}
