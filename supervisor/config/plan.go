package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

// Plan tells in words what vigil will do.
func Plan(c *Config) string {
	var b strings.Builder
	for i, s := range c.Services {
		if i > 0 {
			b.WriteByte('\n')
		}
		s.plan(&b)
	}
	return b.String()
}

func (s Service) plan(b *strings.Builder) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(b, "  %-10s %s\n", what, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(b, "service %s\n", s.Name)
	line("command", "%s", commandLine(s.Command))
	if s.User != "" || s.Group != "" {
		line("runs as", "user %s, group %s", orElse(quoted(s.User), "vigil's own"), orElse(quoted(s.Group), "the user's"))
	}
	for _, o := range []struct {
		what, words string
		names       []string
	}{{"after", "", s.After}, {"requires", "", s.Requires}, {"follows", "restarts of ", s.RestartWith}} {
		if len(o.names) > 0 {
			line(o.what, "%s%s", o.words, strings.Join(o.names, ", "))
		}
	}
	line("ready", "%s", s.readyPlan())
	switch {
	case s.Heartbeat.Gimli:
		line("heartbeat", "libgimli: starting %s, running %s, stopping %s; a fault is captured while the program lives",
			short(s.StartTimeout), short(s.Heartbeat.Timeout), short(s.StopTimeout))
	case s.Heartbeat.Timeout > 0:
		line("heartbeat", "suspect after %s, a hang after %s of silence", short(s.Heartbeat.Suspect), short(s.Heartbeat.Timeout))
	default:
		line("heartbeat", "none is expected, unless the service asks for it (WATCHDOG_USEC of sd_notify)")
	}
	for _, o := range s.Outputs {
		line("output", "a line that matches %s is a %s", quoted(o.Pattern), o.Verdict)
	}
	for _, p := range s.Probes {
		line("probe", "%s", p.words())
	}
	for _, t := range s.Threads {
		line("thread", "%s", t.words())
	}
	line("hang", "%s", s.hangPlan())
	line("stop", "%s, after %s everything of it is killed", SignalName(s.StopSignal), short(s.StopTimeout))
	line("restart", "%s; %s", s.Restart.Mode, restart.Outlook(s.Restart))
	if s.Restart.Mode != restart.Never {
		line("delays", "%s", s.delays())
	}
	line("log", "%s, %d bytes, %d older ones", orElse(quoted(s.Log.Directory), "the state directory"), s.Log.MaxSize, s.Log.Keep)
}

func (s Service) readyPlan() string {
	switch {
	case s.Ready.Notify:
		return fmt.Sprintf("when it says READY=1, within %s", short(s.StartTimeout))
	case s.Ready.FD != 0:
		return fmt.Sprintf("when it writes a newline to descriptor %d, within %s", s.Ready.FD, short(s.StartTimeout))
	case s.Ready.Probe != "":
		return fmt.Sprintf("when probe %s succeeds, within %s", s.Ready.Probe, short(s.StartTimeout))
	case s.Ready.After != 0:
		return fmt.Sprintf("when it has lived for %s", short(s.Ready.After))
	}
	return "when it is started"
}

func (s Service) hangPlan() string {
	if s.DryRun {
		return "dry run: told, nothing is done"
	}
	return fmt.Sprintf("its stacks are taken within %s, then it is killed and started again", short(s.Capture.BudgetOf(s.Runtime)))
}

// delays is the table of the restart policy for a service that dies at once.
func (s Service) delays() string {
	var parts []string
	for _, step := range restart.Plan(s.Restart) {
		parts = append(parts, short(step.Delay))
	}
	return strings.Join(parts, ", ")
}

// short writes a duration without parts that are 0: 1m, 1h, 1m30s.
func short(d time.Duration) string {
	text := d.Round(time.Millisecond).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func commandLine(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		if out[i] = quoted(w); w == "" || strings.Contains(w, " ") {
			out[i] = strconv.Quote(w)
		}
	}
	return strings.Join(out, " ")
}

// quoted puts quotes around a text that a terminal could take for more.
func quoted(s string) string {
	if q := strconv.Quote(s); q != `"`+s+`"` {
		return q
	}
	return s
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
