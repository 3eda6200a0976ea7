package lifecycle

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

// TestTranscripts plays testdata/*.txt. A line "set WORD..." changes settings,
// "@TIME EVENT [KEY=VALUE...]" is an event; the indented lines below it are what
// came of it and are written by -update.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(b))
			if *update {
				if err := os.WriteFile(f, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(b) {
				t.Errorf("it went otherwise (review, then -update):\n%s", got)
			}
		})
	}
}

func play(t *testing.T, script string) string {
	l := newLife(nil)
	l.set.CanCapture = false
	var out strings.Builder
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line)
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "set":
			configure(t, &l.set, words[1:])
		default:
			at, err := time.ParseDuration(strings.TrimPrefix(words[0], "@"))
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			l.now = at
			l.do(event(t, words[1:]))
			record(&out, l)
		}
	}
	return out.String()
}

func configure(t *testing.T, set *Settings, words []string) {
	for _, w := range words {
		switch w {
		case "wait-ready":
			set.WaitReady = true
		case "capture":
			set.CanCapture = true
		case "dry-run":
			set.DryRun = true
		case "run":
			set.FirstStartFatal = true
		case "never", "on-failure":
			set.Restart.Mode = restart.Mode(w)
		case "limit-2":
			set.Restart.LimitStarts = 2
		default:
			t.Fatalf("no setting %q", w)
		}
	}
}

func event(t *testing.T, words []string) Event {
	var ev Event
	known := false
	for _, k := range EventKinds() {
		if k.String() == words[0] {
			ev.Kind, known = k, true
		}
	}
	if !known {
		t.Fatalf("no event %q", words[0])
	}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		var err error
		switch key {
		case "code":
			ev.Exit.Code, err = strconv.Atoi(value)
		case "signal":
			ev.Exit.Code = -1
			ev.Exit.Signal, err = strconv.Atoi(value)
		case "instance":
			ev.Instance, err = strconv.ParseUint(value, 10, 64)
		case "extend":
			ev.Extend, err = time.ParseDuration(value)
		case "cause":
			ev.Cause, err = snapshot.ParseCause(value)
		case "err":
			ev.Err = value
		case "farewell":
			ev.Farewell = true
		case "fatal":
			ev.Fatal = true
		default:
			err = fmt.Errorf("no field %q", key)
		}
		if err != nil {
			t.Fatalf("%q: %v", w, err)
		}
	}
	return ev
}

func record(out *strings.Builder, l *life) {
	for _, a := range l.actions {
		fmt.Fprintf(out, "  %s %d", a.Kind, a.Instance)
		if a.Kind == ActionSpawn || a.Kind == ActionOrder {
			fmt.Fprintf(out, " again=%v", a.Again)
		}
		for _, text := range []string{string(a.Cause), a.Sentence, a.Text} {
			if text != "" {
				fmt.Fprintf(out, " %q", text)
			}
		}
		out.WriteByte('\n')
	}
	fmt.Fprintf(out, "  => %s", l.s.State)
	if l.s.Deadline > 0 {
		fmt.Fprintf(out, " until @%s", l.s.Deadline)
	}
	if l.s.Cause != snapshot.CauseNone {
		fmt.Fprintf(out, " cause=%s", l.s.Cause)
	}
	fmt.Fprintf(out, " restarts=%d\n", l.s.Restarts)
}
