package main

import (
	"math"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/control"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                 "0.0s",
		430 * time.Millisecond:            "0.4s",
		9999 * time.Millisecond:           "9.9s",
		10 * time.Second:                  "10s",
		59*time.Second + 999999999:        "59s",
		time.Minute:                       "1m",
		3*time.Minute + 12*time.Second:    "3m12s",
		2*time.Hour + 5*time.Minute:       "2h5m",
		12*24*time.Hour + 4*time.Hour:     "12d4h",
		-90 * time.Second:                 "-1m30s",
		24*time.Hour + 59*time.Minute:     "1d",
		time.Hour + 59*time.Second:        "1h",
		26*time.Hour + 30*time.Minute + 1: "1d2h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", int64(d), got, want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]time.Duration{1.5: 1500 * time.Millisecond, math.Inf(1): 0, 1e300: 0, -2: -2 * time.Second} {
		if got := seconds(s); got != want {
			t.Errorf("%v: %v", s, got)
		}
	}
	if seconds(math.NaN()) != 0 {
		t.Error("NaN")
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 20: "5.0 MiB", 1 << 60: "1048576.0 TiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"plain":           "plain",
		"grün\tx\ny":      "grün\tx\ny",
		"\x1b[2Jgone":     `\x1b[2Jgone`,
		"a\rb":            `a\x0db`,
		"\u009b31m":       `\x9b31m`,
		"bad\xffutf":      `bad\xffutf`,
		"\u202eright":     `\u202eright`,
		"zero\u200bwidth": `zero\u200bwidth`,
		"\x00":            `\x00`,
	} {
		if got := harmless(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := harmlessCell("two\nlines\t\x07"); got != `two lines \x07` {
		t.Errorf("cell: %q", got)
	}
}

func TestWhy(t *testing.T) {
	tests := []struct {
		s    control.Service
		want string
	}{
		{control.Service{}, "-"},
		{control.Service{State: "running", Status: "serving 3"}, "serving 3"},
		{control.Service{State: "running", Cause: "hang"}, "hang"},
		{control.Service{State: "waiting", WaitingFor: []control.Blocker{{Service: "db", State: "starting"}, {Service: "cache", State: "failed"}}}, "waiting for db (starting), cache (failed)"},
		{control.Service{State: "running", EndsAfter: []control.Blocker{{Service: "web", State: "stopping"}}, Status: "busy"}, "ends after web (stopping); busy"},
		{control.Service{State: "backoff", NextStart: 3.2, Cause: "exit", Sentence: "exited with 1"}, "next start in 3.2s; exited with 1"},
	}
	for _, test := range tests {
		if got := why(test.s); got != test.want {
			t.Errorf("%+v: %q", test.s, got)
		}
	}
}
