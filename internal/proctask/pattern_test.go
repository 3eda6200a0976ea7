package proctask

import (
	"path"
	"strings"
	"testing"
)

func TestPatternMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, comm string
		want          bool
	}{
		{"ProcessThread*|FollowerRequest*", "ProcessThread(s", true},
		{"ProcessThread*|FollowerRequest*", "FollowerRequest", true},
		{"ProcessThread*|FollowerRequest*", "SyncThread:0", false},
		{"SyncThread:?", "SyncThread:0", true},
		{"SyncThread:?", "SyncThread:", false},
		{"SyncThread:?", "SyncThread:10", false},
		{"QuorumPeer[myid*", "QuorumPeer[myid", true}, // brackets stand for themselves
		{"*", "", true},
		{"*", "anything at all", true},
		{"**a**", "bab", true},
		{"*:0", "SyncThread:0", true},
		{"*a*b*c", "xaxbxbc", true},
		{"*a*b*c", "xaxbxbcd", false},
		{"java", "java", true},
		{"java", "javac", false},
		{"a b", "a b", true},
		{"x?", "x\xff", true}, // cut in the middle of a character
	} {
		p, err := ParsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%v", err)
		}
		if p.Match(tt.comm) != tt.want || p.String() != tt.pattern {
			t.Errorf("%q matches %q: %v", tt.pattern, tt.comm, !tt.want)
		}
	}
	if (Pattern{}).Match("") {
		t.Error("the zero pattern matches")
	}
}

func TestCheckPattern(t *testing.T) {
	for _, tt := range []struct{ pattern, want string }{
		{"CommitProcessor*", ""},
		{"?????????????????", "never match"},
		{"CommitProcessor:1", `"CommitProcessor:1" can never match: the kernel keeps 15 bytes of a thread's name; write "CommitProcessor"`},
		{"FollowerRequestProcessor*", `write "FollowerRequest"`},
		{"a*bcdefghijklmnop", "never match"},
		{"ProcessThread*|", "an alternative is empty"},
		{"|a", "an alternative is empty"},
		{"", "it is empty"},
		{"a| b", "blank"},
		{"a\nb", "control character"},
		{"a|b|a", `"a" is there twice`},
		{strings.Repeat("a|", 16) + "a", "more than 16 alternatives"},
		{strings.Repeat("*", 257), "more than 256 bytes"},
	} {
		err := CheckPattern(tt.pattern)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.pattern, err, tt.want)
		}
	}
	if _, err := ParsePattern("a|"); err == nil || !strings.HasPrefix(err.Error(), `cannot use "a|" as names of threads: `) {
		t.Error(err)
	}
}

// FuzzPattern: no pattern takes long or panics, and one without brackets means
// what the same glob means to path.Match.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{{"ProcessThread*|a?", "ProcessThread(s"}, {"*a*b*c*", "aabbcc"}, {"", ""}, {"a||b", "b"}, {"[", "["}, {"?\xff", "é"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, comm string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		got := p.Match(comm)
		if !ascii(pattern) || !ascii(comm) || strings.ContainsAny(pattern, `[\`) || strings.Contains(comm, "/") {
			return
		}
		want := false
		for _, glob := range strings.Split(pattern, "|") {
			ok, err := path.Match(glob, comm)
			want = want || ok && err == nil
		}
		if got != want {
			t.Errorf("%q matches %q: %v", pattern, comm, got)
		}
	})
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}
