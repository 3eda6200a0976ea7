package watchdog

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var updateProbes = flag.Bool("update", false, "write testdata/probes")

// probeRig is a probe in made-up time, and a service that answers as it is told to.
type probeRig struct {
	t       *testing.T
	probe   *Probe
	now     time.Duration
	took    time.Duration // of an attempt
	ok      bool
	text    string
	running bool
	ends    time.Duration
	log     bytes.Buffer
}

func (r *probeRig) say(format string, args ...any) {
	fmt.Fprintf(&r.log, "%8.3fs  %s\n", (r.now - 1000*s).Seconds(), fmt.Sprintf(format, args...))
}

func (r *probeRig) tell(c ProbeChange) {
	for _, v := range c.Verdicts {
		r.say("%s -> %s: %s", v.From, v.To, v.Text)
	}
	if c.Ready {
		r.say("ready")
	}
	if c.Unready {
		r.say("not ready")
	}
	if c.Failed != "" {
		r.say("told, and not acted on alone: %s", c.Failed)
	}
}

// run lets d pass.
func (r *probeRig) run(d time.Duration) {
	end := r.now + d
	for {
		at, ok := r.probe.Next()
		if r.running && (!ok || r.ends <= at) {
			at, ok = r.ends, true
		}
		if !ok || at > end {
			break
		}
		r.now = max(at, r.now)
		if r.running && r.ends <= r.now {
			r.running = false
			if r.took >= r.probe.Timeout() {
				r.tell(r.probe.Done(r.now, false, fmt.Sprintf("no answer within %s", r.probe.Timeout())))
			} else {
				r.tell(r.probe.Done(r.now, r.ok, r.text))
			}
			continue
		}
		r.say("ask")
		r.probe.Begin(r.now)
		r.running, r.ends = true, r.now+min(r.took, r.probe.Timeout())
	}
	r.now = end
}

func (r *probeRig) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// do obeys one line of a transcript.
func (r *probeRig) do(words []string) {
	switch words[0] {
	case "probe":
		r.probe, r.running = NewProbe(r.rule(words[1:]), "web", r.now), false
	case "up":
		r.probe.Up(r.now)
	case "run":
		r.run(r.duration(words[1]))
	case "well":
		r.took, r.ok, r.text = 5*time.Millisecond, true, "status 200"
	case "bad":
		r.took, r.ok, r.text = 5*time.Millisecond, false, strings.Join(words[1:], " ")
	case "silent":
		r.took = time.Hour
	case "suspend":
		r.probe.Suspend()
	case "resume":
		r.tell(ProbeChange{Verdicts: r.probe.Resume(r.now)})
	case "ask":
		r.probe.AskNow(r.now)
	case "status":
		st := r.probe.Standing(r.now)
		r.say("%s, answered %s ago: %s", st.State, round(st.Age), st.Text)
	default:
		r.t.Fatalf("what is %q?", words)
	}
}

func (r *probeRig) rule(words []string) ProbeRule {
	rule := ProbeRule{Name: "serving", Period: 10 * s, Timeout: 2 * s, FailureThreshold: 3, SuccessThreshold: 1}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "start":
			rule.StartPeriod = r.duration(value)
		case "failures":
			rule.FailureThreshold, _ = strconv.Atoi(value)
		case "successes":
			rule.SuccessThreshold, _ = strconv.Atoi(value)
		case "readiness":
			rule.Readiness = true
		case "cluster":
			rule.Cluster = true
		default:
			r.t.Fatalf("what is %q?", w)
		}
	}
	return rule
}

// TestProbeTranscripts does what the lines of testdata/probes say that begin with
// "> ", and compares what comes of them with the lines in between. -update writes
// the files.
func TestProbeTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/probes/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := &probeRig{t: t, now: 1000 * s}
			for line := range strings.Lines(string(text)) {
				words, command := strings.CutPrefix(line, "> ")
				if command || strings.HasPrefix(line, "#") {
					r.log.WriteString(line)
				}
				if command {
					r.do(strings.Fields(words))
				}
			}
			if *updateProbes {
				err = os.WriteFile(file, r.log.Bytes(), 0o644)
			} else if r.log.String() != string(text) {
				err = fmt.Errorf("not as written (go test ./supervisor/watchdog -run Transcripts -update, and read the difference):\n%s", &r.log)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}
