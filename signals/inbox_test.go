package signals

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// TestTranscripts plays testdata/*.txt. A line is a signal's name, "take" (Next
// until there is nothing), "done ID" or "lost"; the indented lines below it are
// what came of it and are written by -update.
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
	var in Inbox
	var out strings.Builder
	last := uint64(0)
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line)
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		switch words[0] {
		case "take":
			for task, ok := in.Next(); ok; task, ok = in.Next() {
				fmt.Fprintln(&out, strings.TrimRight(fmt.Sprintf("  %s %d %s", task.Demand, task.ID, task.Refuse), " "))
			}
		case "done":
			id, err := strconv.ParseUint(words[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := in.Done(id); !ok {
				out.WriteString("  not running\n")
			}
		case "lost":
			for _, m := range in.Lost() {
				fmt.Fprintf(&out, "  %d is part of %d\n", m.ID, m.Into)
			}
		default:
			sig, err := Parse(words[0])
			if err != nil {
				t.Fatal(err)
			}
			into, merged := in.Received(Meaning(sig, false), last+1)
			if !merged && into != 0 {
				last++
			}
			fmt.Fprintf(&out, "  entry %d\n", into)
		}
		state(&out, &in)
	}
	return out.String()
}

func state(out *strings.Builder, in *Inbox) {
	out.WriteString("  =>")
	for i, d := range ranks {
		if in.running[i] != 0 {
			fmt.Fprintf(out, " %s %d runs", d, in.running[i])
		}
		if in.waiting[i] != 0 {
			fmt.Fprintf(out, " %s %d waits", d, in.waiting[i])
		}
	}
	out.WriteString("\n")
}

func TestMeaning(t *testing.T) {
	for name, want := range map[string][2]Demand{
		"TERM": {Stop, Stop}, "INT": {Stop, Stop}, "QUIT": {Dump, Dump}, "HUP": {Reload, Reload},
		"USR1": {Reopen, Beat}, "USR2": {Snapshot, Capture}, "WINCH": {None, None}, "RTMIN": {None, None},
	} {
		sig, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]Demand{Meaning(sig, false), Meaning(sig, true)}; got != want {
			t.Errorf("%s means %q; want %q", name, got, want)
		}
	}
	var in Inbox
	for _, d := range []Demand{None, Beat, Capture, "?"} {
		if into, merged := in.Received(d, 1); into != 0 || merged {
			t.Errorf("the inbox keeps %q", d)
		}
	}
	if _, ok := in.Done(0); ok {
		t.Error("nothing is done")
	}
}
