package proctask

import (
	"bytes"
	"testing"
)

const (
	statText = "4711 (a) b (c) S 1 2 3 0 -1 4194304 5 6 7 8 11 12 0 0 20 0 29 0 123456 9000000000 77 18446744073709551615\n"

	statusText = "Name:\tx\nState:\tS (sleeping)\nvoluntary_ctxt_switches:\t17\nnonvoluntary_ctxt_switches:\t4\n"
)

func TestParse(t *testing.T) {
	s, err := parseStat([]byte(statText))
	if err != nil || string(s.comm) != "a) b (c" || s.state != 'S' || s.start != 123456 {
		t.Errorf("stat: %+v %q, %v", s, s.comm, err)
	}
	run, switches, err := parseSchedstat([]byte("4796320 12423 2\n"))
	if err != nil || run != 4796320 || switches != 2 {
		t.Errorf("schedstat: %v %d, %v", run, switches, err)
	}
	switches, err = parseStatus([]byte(statusText))
	if err != nil || switches != 21 {
		t.Errorf("status: %d, %v", switches, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "1 (", "1 )( S", "1 (a)", "1 (a) SS", "1 (a) S 1 2 3", "1 (" + string(bytes.Repeat([]byte("x"), 65)) + ") S"} {
		if s, err := parseStat([]byte(text)); err == nil {
			t.Errorf("stat %q is %+v", text, s)
		}
	}
	for _, text := range []string{"", "1", "1 2", "1 2 x", "18446744073709551615 0 1"} {
		if _, _, err := parseSchedstat([]byte(text)); err == nil {
			t.Errorf("schedstat %q is taken", text)
		}
	}
	for _, text := range []string{"", "voluntary_ctxt_switches:\t1\n", "voluntary_ctxt_switches:\tx\nnonvoluntary_ctxt_switches:\t1\n"} {
		if _, err := parseStatus([]byte(text)); err == nil {
			t.Errorf("status %q is taken", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(statText))
	f.Add([]byte(statusText))
	f.Add([]byte("1 2 3\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := parseStat(text); err == nil && len(s.comm) > maxComm {
			t.Errorf("%+v", s)
		}
		if run, _, err := parseSchedstat(text); err == nil && run < 0 {
			t.Errorf("%v", run)
		}
		_, _ = parseStatus(text)
		for rest := text; len(rest) > 0; {
			_, after, err := entry(rest)
			if err != nil {
				break
			}
			if len(after) >= len(rest) {
				t.Fatal("entry takes nothing")
			}
			rest = after
		}
	})
}
