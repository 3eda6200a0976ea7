package golang

import (
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/goversion"
)

// TestUnknownVersion: what a program says of its Go, as Delve passes it on, without
// the flags behind a semicolon, and what that means.
func TestUnknownVersion(t *testing.T) {
	for producer, want := range map[string]string{
		"Go cmd/compile go1.25.3":                              "",
		"Go cmd/compile go1.26.8":                              "",
		"Go cmd/compile go1.26.8 X:nodwarf5":                   "",
		"Go cmd/compile go1.27rc1":                             "",
		"Go cmd/compile go1.28.0":                              "Go 1.28 is unknown to this reader",
		"Go cmd/compile go1.28rc1":                             "Go 1.28 is unknown to this reader",
		"Go cmd/compile go1.28-devel_b4309ece66 Tue Nov 24":    "Go 1.28 is unknown to this reader",
		"Go cmd/compile go2.0.0":                               "Go 2.0 is unknown to this reader",
		"Go cmd/compile devel +17efbfc560 Mon Feb 7 2022":      "the version of Go that built the program is unknown",
		"Go cmd/compile devel go1.28-d8a0b1c2e3 Tue Nov 24 10": "Go 1.28 is unknown to this reader",
		"": "the version of Go that built the program is unknown",
	} {
		got := unknownVersion(goversion.ParseProducer(producer))
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %q, want %q", producer, got, want)
		}
	}
}

// TestWaitReason: a reason is worded by the program, then by what is known of its
// version, and is never another one's word.
func TestWaitReason(t *testing.T) {
	known := reading{version: goversion.ParseProducer("Go cmd/compile go1.26.8")}
	next := reading{version: goversion.ParseProducer("Go cmd/compile go1.28.0")}
	if got := known.waitReason(14); got == "" || strings.HasPrefix(got, "reason ") {
		t.Errorf("Go 1.26: %q", got)
	}
	if got := next.waitReason(14); got != "reason 14" {
		t.Errorf("Go 1.28: %q", got)
	}
	next.reasons = []string{"", "new kind of wait"}
	if got := next.waitReason(1); got != "new kind of wait" {
		t.Errorf("Go 1.28 with its words: %q", got)
	}
}
