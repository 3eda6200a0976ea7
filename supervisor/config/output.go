package config

import (
	"path/filepath"
	"regexp"
	"strings"
)

// OutputPattern makes a line of output a sign. Fields are named after the keys.
type OutputPattern struct {
	Pattern string `json:"pattern"` // RE2
	Verdict string `json:"verdict"` // VerdictSuspect, VerdictHang
	Stream  string `json:"stream"`  // both, stdout, stderr

	seen *seen
}

// What a line of output means.
const (
	VerdictSuspect = "suspect"
	VerdictHang    = "hang"
)

func openOutput(t target, s *seen) target {
	t.service.Outputs = append(t.service.Outputs, OutputPattern{Verdict: VerdictSuspect, Stream: "both", seen: s})
	t.output = &t.service.Outputs[len(t.service.Outputs)-1]
	return t
}

func outputRows() []row {
	return []row{
		textRow("pattern", "required", "Regular expression (RE2) that a line matches, as \"OutOfMemoryError\". Of a long line 8 KiB are looked at.",
			func(t *target) *string { return &t.output.Pattern }),
		choiceRow("verdict", "suspect: it is told, with light evidence, and nothing is done; it is over after a minute without such a line. hang: the service is captured and started again.",
			func(t *target) *string { return &t.output.Verdict }, VerdictSuspect, VerdictHang),
		choiceRow("stream", "Where to look.", func(t *target) *string { return &t.output.Stream }, "both", "stdout", "stderr"),
	}
}

// Bounds of the patterns of one service.
const (
	maxOutputs = 32
	maxPattern = 1 << 10
)

func (s *Service) settleOutputs(d *decoder) {
	if len(s.Outputs) > maxOutputs {
		d.fail(s.Outputs[maxOutputs].seen.place(""), "there are more than %d patterns", maxOutputs)
	}
	for i := range s.Outputs {
		o := &s.Outputs[i]
		if !o.seen.sound("output.pattern") {
			continue
		}
		at := o.seen.place("output.pattern")
		expr, err := regexp.Compile(o.Pattern)
		switch {
		case o.Pattern == "":
			d.fail(at, "a sign in the output needs a pattern, as \"OutOfMemoryError\"")
		case len(o.Pattern) > maxPattern:
			d.fail(at, "the pattern has more than %d bytes", maxPattern)
		case err != nil:
			d.fail(at, "%q is not a regular expression (RE2): %s", o.Pattern, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		case expr.MatchString(""):
			d.fail(at, "%q matches an empty line, so it matches every line", o.Pattern)
		}
	}
}

func (s *Service) settleFile(d *decoder) {
	h := s.Heartbeat
	switch {
	case h.File == "" || !s.seen.sound("heartbeat.file", "heartbeat.timeout"):
	case !filepath.IsAbs(h.File):
		d.fail(s.seen.place("heartbeat.file"), "%q is not an absolute path", h.File)
	case h.Timeout == 0:
		d.fail(s.seen.place("heartbeat.file"), "file needs a timeout")
	}
}
