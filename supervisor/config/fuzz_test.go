package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

// FuzzLoad reads anything. What it takes must be TOML to the decoder of the
// library too, and mistakes must have words and places inside the file.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/errors/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "testdata/example.toml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("[service.a]\nlimits = { nofile = -1 }\n[[service.a.probe]]\n[incidents]\nmin_free = \"110%\""))
	f.Add([]byte("service.a.command = [\"\\u0000\"]\nx = 1979-05-27"))
	f.Add([]byte("[service.a]\ncommand=['x']\nnice=1_0\nlog.keep=0x1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		l := newLoader([]string{"f"})
		l.read("f", data)
		l.check()
		lines := strings.Count(string(data), "\n") + 1
		for _, e := range l.errs {
			if e.Message == "" || !utf8.ValidString(e.Message) || e.Line > lines || (e.Line > 0) != (e.Column > 0) {
				t.Errorf("not the mistake of a file with %d lines: %+v", lines, e)
			}
		}
		if l.count > 0 {
			if l.sorted(l.config.Files).Error() == "" {
				t.Error("mistakes without words")
			}
			return
		}
		var any map[string]any
		if err := toml.Unmarshal(data, &any); err != nil {
			t.Errorf("it is taken, and is not TOML: %v\n%s", err, data)
		}
		for _, s := range l.config.Services {
			s.Hash()
			if len(s.Command) == 0 || s.Heartbeat.Suspect > s.Heartbeat.Timeout || s.StopTimeout <= 0 {
				t.Errorf("a service that cannot be: %+v", s)
			}
		}
		Plan(l.config)
	})
}

// FuzzValues holds that no text makes a value out of bounds.
func FuzzValues(f *testing.F) {
	for _, s := range strings.Fields("1s 2d12h 365d 366d -1s 1d-5s 64MiB 9223372036854775807B 0 10% 99.9% nan% RTMIN+30 RTMIN+31 SIGSIGTERM TERM 9999999h") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDuration(s); err == nil && (d < 0 || d > MaxDuration) {
			t.Errorf("duration %q is %s", s, d)
		}
		if n, err := ParseSize(s); err == nil && n < 0 {
			t.Errorf("size %q is %d", s, n)
		}
		if v, err := ParseShare(s); err == nil && !(v >= 0 && v <= 99) {
			t.Errorf("share %q: %v", s, v)
		}
		if v, err := ParseFree(s); err == nil && (!(v.Percent >= 0 && v.Percent <= 99) || v.Bytes < 0) {
			t.Errorf("free %q is %+v", s, v)
		}
		if v, err := ParseSignal(s); err == nil {
			if again, err := ParseSignal(SignalName(v)); v < 1 || v > 64 || err != nil || again != v {
				t.Errorf("signal %q is %d, and %q of that %d, %v", s, v, SignalName(v), again, err)
			}
		}
	})
}
