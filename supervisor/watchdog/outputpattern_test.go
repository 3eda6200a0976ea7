package watchdog

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const oom = `OutOfMemoryError`

// patternsOf compiles patterns for both streams.
func patternsOf(t testing.TB, patterns ...string) *OutputPatterns {
	t.Helper()
	var list []OutputPattern
	for _, p := range patterns {
		list = append(list, OutputPattern{Pattern: p, Verdict: Confirmed, Stdout: true, Stderr: true})
	}
	p, err := NewOutputPatterns(list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// found feeds pieces, one a second, and returns what is delivered.
func found(p *OutputPatterns, pieces ...string) []OutputMatch {
	var all []OutputMatch
	w := p.Watch(func(m OutputMatch) { all = append(all, m) })
	at := time.Duration(0)
	for _, text := range pieces {
		at += s
		w.Feed(false, []byte(text), at)
		w.Flush()
	}
	w.End(false, at)
	w.Flush()
	return all
}

func TestRequiredLiterals(t *testing.T) {
	for pattern, want := range map[string]string{
		oom:                          oom,
		`^panic: `:                   "panic: ",
		`panic: |fatal error: `:      "panic: ;fatal error: ",
		`(panic|fatal)`:              "panic;fatal",
		`java\.lang\.\w+Error: .*`:   "java.lang.",
		`\d+ errors? in (a+|b) file`: " error",
		`(?i)error`:                  "",
		`[a-z]+`:                     "",
		`x`:                          "",
		`(abc)?`:                     "",
		`(abc)*def`:                  "def",
		`(abc){2,}`:                  "abc",
		`(abc){0,2}d`:                "",
		`a|bcd`:                      "",
	} {
		var got []string
		for _, text := range requiredLiterals(pattern) {
			got = append(got, string(text))
		}
		if strings.Join(got, ";") != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}

func TestNewOutputPatternsRefuses(t *testing.T) {
	for want, p := range map[string]OutputPattern{
		"missing closing":  {Pattern: "(", Verdict: Suspect, Stdout: true},
		"matches an empty": {Pattern: "a*", Verdict: Suspect, Stdout: true},
		"more than 1024":   {Pattern: strings.Repeat("a", 1025), Verdict: Suspect, Stdout: true},
		"in no stream":     {Pattern: "a", Verdict: Suspect},
		"no verdict":       {Pattern: "a", Verdict: Healthy, Stdout: true},
	} {
		if _, err := NewOutputPatterns([]OutputPattern{p}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := NewOutputPatterns(make([]OutputPattern, 33)); err == nil {
		t.Error("33 patterns")
	}
}

func TestOutputWatcherFinds(t *testing.T) {
	long := strings.Repeat("x", maxLook)
	for name, tt := range map[string]struct {
		pattern string
		pieces  []string
		want    []string
	}{
		"a line":                 {oom, []string{"a\nOutOfMemoryError\nb\n"}, []string{oom}},
		"nothing":                {oom, []string{"a\nOutOfMemory\nError\n"}, nil},
		"the first":              {oom, []string{"OutOfMemoryError!\na\n"}, []string{oom + "!"}},
		"the last, open":         {oom, []string{"a\nOutOfMemoryError"}, []string{oom}},
		"in pieces":              {oom, []string{"a\nOutOf", "Memory", "Error at x\nb\n"}, []string{oom + " at x"}},
		"newline later":          {oom, []string{"OutOfMemoryError", "\nb\n"}, []string{oom}},
		"newline alone":          {oom, []string{"OutOfMemoryError", "\n", "\n"}, []string{oom}},
		"carriage return":        {oom, []string{"OutOfMemoryError\r\n"}, []string{oom}},
		"anchored":               {`^panic: .*nil$`, []string{"x panic: nil\npanic: nil\n"}, []string{"panic: nil"}},
		"anchored, in pieces":    {`^panic: .*nil$`, []string{"pan", "ic: nil", "\n"}, []string{"panic: nil"}},
		"no text needed":         {`(?i)error`, []string{"a\nsome eRRor\nb\n"}, []string{"some eRRor"}},
		"one of two texts":       {`panic: .*x|fatal: .*b`, []string{"panic: b fatal: a\nfatal: b\n"}, []string{"fatal: b"}},
		"at the end of the look": {oom, []string{long[len(oom):] + oom + "\n"}, []string{long[:maxExcerpt-len(oom)] + oom}},
		"beyond the look":        {oom, []string{long[len(oom)-1:] + oom + "\n" + "a\n"}, nil},
		"beyond, in pieces":      {oom, []string{long, oom, "\n"}, nil},
		"beyond, as expression":  {`Out[Oo]fMemory`, []string{long + oom + "\n"}, nil},
		"after a long one":       {oom, []string{long, long, "\n" + oom + "\n"}, []string{oom}},
	} {
		var got []string
		for _, m := range found(patternsOf(t, tt.pattern), tt.pieces...) {
			got = append(got, m.Line)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %.300q, want %.300q", name, got, tt.want)
		}
	}
}

func TestOutputWatcherStreams(t *testing.T) {
	p, err := NewOutputPatterns([]OutputPattern{
		{Pattern: "ab", Verdict: Suspect, Stdout: true}, {Pattern: "ab", Verdict: Suspect, Stderr: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []OutputMatch
	w := p.Watch(func(m OutputMatch) { all = append(all, m) })
	w.Feed(true, []byte("1 a"), s)
	w.Feed(false, []byte("2 ab\n3 a"), s)
	w.Feed(true, []byte("b\n"), s)
	w.End(false, s)
	w.End(true, s)
	w.Flush()
	if len(all) != 2 || all[0].Line != "2 ab" || all[0].Pattern != 0 || all[0].Stderr || all[1].Line != "1 ab" || all[1].Pattern != 1 || !all[1].Stderr {
		t.Errorf("%+v", all)
	}
}

func TestOutputWatcherIsBounded(t *testing.T) {
	p := patternsOf(t, oom)
	var all []OutputMatch
	w := p.Watch(func(m OutputMatch) { all = append(all, m) })
	for i := range 25 {
		w.Feed(false, bytes.Repeat([]byte(oom+"\n"), 100), time.Duration(i)*s)
		w.Flush()
	}
	if len(all) != 3 || all[0].More != 0 || all[1].More != 999 || all[2].More != 999 {
		t.Errorf("%d matches: %+v", len(all), all)
	}
	// An expression that needs no text costs time, of which there is so much a second.
	w = patternsOf(t, `(?i)error`).Watch(nil)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range maxMatching / len(line) * 2 {
		w.Feed(false, line, s)
	}
	n := w.Unseen()
	if most := uint64(maxMatching / len(line)); n < most-1 || n > most+1 {
		t.Errorf("%d lines were not matched", n)
	}
	w.Feed(false, line, 2*s)
	if w.Unseen() != n {
		t.Error("in the next second too")
	}
	// Whoever does not flush loses nothing but what comes after.
	w = patternsOf(t, oom).Watch(nil)
	for i := range 100 {
		w.Feed(false, []byte(oom+"\n"), time.Duration(i)*time.Minute)
	}
	if len(w.pending) > 2 {
		t.Errorf("%d pending", len(w.pending))
	}
}

func TestExcerpt(t *testing.T) {
	line := []byte(strings.Repeat("é", 300) + oom + strings.Repeat("ü", 300))
	at := bytes.Index(line, []byte(oom))
	got := excerpt(line, []int{at, at + len(oom)})
	if len(got) > maxExcerpt+2 || !strings.Contains(got, oom) || !strings.HasPrefix(got, "é") {
		t.Errorf("%q", got)
	}
	if got := excerpt([]byte("a\xffb"), []int{0, 1}); got != "a\uFFFDb" {
		t.Errorf("%q", got)
	}
}

// TestOutputWatcherAgrees: however the output is cut into reads, what is found is
// what the expression finds in the lines.
func TestOutputWatcherAgrees(t *testing.T) {
	patterns := []string{"abc", "a+b", "ab|bc", "^b.*c$", "(?i)AB", "c{2,3}a", "aa|bb|cc|ab"}
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.SampledFrom(patterns).Draw(t, "pattern")
		text := rapid.StringOfN(rapid.SampledFrom([]rune("aabbcc\n\n")), 0, 200, -1).Draw(t, "text")
		p, err := NewOutputPatterns([]OutputPattern{{Pattern: pattern, Verdict: Suspect, Stdout: true}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		w := p.Watch(func(m OutputMatch) { got = append(got, m.Line) })
		at := time.Duration(0)
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "read")
			w.Feed(false, []byte(rest[:n]), at)
			rest = rest[n:]
			at += s
		}
		w.End(false, at)
		w.Flush()
		var want []string
		expr := regexp.MustCompile(pattern)
		for _, line := range strings.Split(text, "\n") {
			if expr.MatchString(line) {
				want = append(want, line)
			}
		}
		more := w.told[0].more
		if len(got) > 0 && (uint64(len(got))+more > uint64(len(want)) || got[0] != want[0]) || (len(got) == 0) != (len(want) == 0) {
			t.Fatalf("%q in %q: %q and %d more, want %q", pattern, text, got, more, want)
		}
		if len(got) == 1 && more+1 != uint64(len(want)) {
			t.Fatalf("%q in %q: %d more, want %q", pattern, text, more, want)
		}
	})
}

func FuzzOutputPattern(f *testing.F) {
	f.Add(`panic: |fatal error: `, []byte("panic: x\ny\n"), 3)
	f.Add(`(?i)error`, []byte("eRRor"), 1)
	f.Fuzz(func(t *testing.T, pattern string, text []byte, cut int) {
		if CheckOutputPattern(pattern) != nil || len(text) > maxLook {
			return
		}
		p, err := NewOutputPatterns([]OutputPattern{{Pattern: pattern, Verdict: Suspect, Stdout: true}})
		if err != nil {
			return // repeated too often, for example
		}
		var got []OutputMatch
		w := p.Watch(func(m OutputMatch) { got = append(got, m) })
		cut = max(0, min(cut, len(text)))
		w.Feed(false, text[:cut], 0)
		w.Feed(false, text[cut:], 0)
		w.End(false, 0)
		w.Flush()
		expr, want := regexp.MustCompile(pattern), false
		for line := range bytes.SplitSeq(text, newline) {
			want = want || len(line) > 0 && expr.Match(line)
		}
		// A line without any byte is one too, and the last may be none.
		if want && len(got) == 0 {
			t.Errorf("%q is not found in %q", pattern, text)
		}
	})
}

func TestOutputSigns(t *testing.T) {
	p, err := NewOutputPatterns([]OutputPattern{
		{Pattern: "slow", Verdict: Suspect, Stdout: true}, {Pattern: oom, Verdict: Confirmed, Stdout: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	o := NewOutputSigns(p)
	if _, ok := o.Next(); ok || o.List(s)[0].Age != 0 {
		t.Error("something before anything")
	}
	v := o.Observe(OutputMatch{Pattern: 0, Line: "slow disk", At: 10 * s})
	if len(v) != 1 || v[0].To != Suspect || v[0].Text != `output: "slow disk" matches "slow"` || v[0].Sign != "output 1" {
		t.Errorf("%+v", v)
	}
	if v := o.Observe(OutputMatch{Pattern: 0, Line: "slow net", At: 30 * s, More: 4}); v != nil {
		t.Errorf("%+v", v)
	}
	if st := o.List(31 * s)[0]; st.Age != s || st.Text != `6 lines, the last "slow net"` || st.State != Suspect || st.Name != "slow" || st.Kind != KindOutput {
		t.Errorf("%+v", st)
	}
	if at, ok := o.Next(); !ok || at != 90*s || o.Check(89*s) != nil {
		t.Errorf("next %v %v", at, ok)
	}
	if v := o.Check(90 * s); len(v) != 1 || v[0].To != Healthy {
		t.Errorf("%+v", v)
	}
	v = o.Observe(OutputMatch{Pattern: 1, Line: "java.lang.OutOfMemoryError: Java heap space", At: 100 * s})
	if len(v) != 2 || v[0].To != Suspect || v[1].To != Confirmed || v[1].Text != `output: "java.lang.OutOfMemoryError: Java heap space" matches "OutOfMemoryError"` {
		t.Errorf("%+v", v)
	}
	if v := o.Resume(101 * s); len(v) != 1 || v[0].To != Healthy {
		t.Errorf("%+v", v)
	}
	o.Suspend()
	if v := o.Observe(OutputMatch{Pattern: 1, Line: oom, At: 102 * s}); v != nil || !o.List(102 * s)[1].Suspended {
		t.Errorf("%+v", v)
	}
	if v := o.Observe(OutputMatch{Pattern: 2}); v != nil {
		t.Errorf("%+v", v)
	}
}

func BenchmarkOutputWatcher(b *testing.B) {
	var chunk bytes.Buffer
	for i := 0; chunk.Len() < 128<<10; i++ {
		fmt.Fprintf(&chunk, "2026-01-02T15:04:05.%09d INFO  [worker-%d] handled request /v1/thing/%d in 12 ms, status=200\n", i, i%16, i)
	}
	for name, patterns := range map[string][]string{
		"none": nil, "one": {oom}, "four": {oom, `^panic: |^fatal error: `, `Segmentation fault`, `java\.lang\.\w+Error`},
		"without text": {`(?i)outofmemory`}, "in every line": {`request .* in \d{4,} ms`},
	} {
		b.Run(name, func(b *testing.B) {
			w := patternsOf(b, patterns...).Watch(func(OutputMatch) {})
			b.SetBytes(int64(chunk.Len()))
			for i := 0; b.Loop(); i++ {
				w.Feed(false, chunk.Bytes(), time.Duration(i)*time.Millisecond)
				w.Flush()
			}
		})
	}
}
