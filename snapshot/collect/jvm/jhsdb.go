package jvm

import (
	"bytes"
	"strconv"
	"strings"
)

// parseJhsdb reads what `jhsdb jstack` prints:
//
//	Thread 4711: (state = BLOCKED)
//	 - java.lang.Object.wait(long) @bci=0 (Compiled frame)
//	 - Main.main(java.lang.String[]) @bci=5, line=12 (Interpreted frame)
//
// In newer versions the header is that of a thread dump, with a name; locks are
// not in it as a thread dump has them.
func parseJhsdb(text []byte) (d dump, found bool) {
	var t *thread
	end := func() {
		if t != nil && len(d.threads) < maxThreads {
			d.threads = append(d.threads, *t)
		}
		t = nil
	}
	for line := range bytes.Lines(text) {
		s := strings.TrimRight(strings.ToValidUTF8(string(line[:min(len(line), maxLine)]), "?"), "\r\n")
		switch {
		case strings.HasPrefix(s, "Thread ") && strings.Contains(s, "(state = "):
			end()
			t = &thread{}
			number, rest, _ := strings.Cut(strings.TrimPrefix(s, "Thread "), ":")
			t.nid, _ = strconv.Atoi(number)
			_, state, _ := strings.Cut(rest, "(state = ")
			t.state = strings.TrimSuffix(state, ")")
		case strings.HasPrefix(s, `"`) && strings.Contains(s, "tid="):
			end()
			name, rest, _ := strings.Cut(s[1:], `"`)
			t = &thread{name: name}
			for _, w := range strings.Fields(rest) {
				if strings.HasPrefix(w, "#") {
					t.number, _ = strconv.ParseInt(w[1:], 10, 64)
				}
				if v, ok := strings.CutPrefix(w, "nid="); ok {
					n, _ := strconv.ParseInt(v, 0, 32)
					t.nid = int(max(n, 0))
				}
			}
		case t == nil:
		case strings.HasPrefix(strings.TrimSpace(s), "java.lang.Thread.State: "):
			t.state = strings.TrimPrefix(strings.TrimSpace(s), "java.lang.Thread.State: ")
		case strings.HasPrefix(s, " - ") && strings.Contains(s, "@bci="):
			if len(t.frames) < maxFrames {
				t.frames = append(t.frames, jhsdbFrame(s[3:]))
			}
		}
	}
	end()
	return d, len(d.threads) > 0
}

func jhsdbFrame(s string) frame {
	function, rest, _ := strings.Cut(s, "(")
	f := frame{function: function}
	if _, line, ok := strings.Cut(rest, "line="); ok {
		digits, _, _ := strings.Cut(line, " ")
		f.line, _ = strconv.Atoi(strings.TrimRight(digits, ",)"))
	}
	return f
}
