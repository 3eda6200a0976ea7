package config

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

// Check finds what is wrong on this machine: users, directories and programs
// that do not exist. `vigil up` starts all the same, since they may come.
func (c *Config) Check() Errors {
	d := decoder{}
	for i := range c.Services {
		c.Services[i].checkHere(&d)
	}
	return sorted(d.errs, c.Files)
}

func (s *Service) checkHere(d *decoder) {
	if s.Directory != "" {
		info, err := os.Stat(s.Directory)
		switch {
		case err != nil:
			d.fail(s.place("directory"), "directory %q: %v", s.Directory, unwrapPath(err))
		case !info.IsDir():
			d.fail(s.place("directory"), "%q is not a directory", s.Directory)
		}
	}
	if _, err := Resolve(*s); err != nil {
		d.fail(s.place("command"), "%v", err)
	}
	uid, _, _, set, _, err := Credentials(*s)
	key := "user"
	if s.User == "" {
		key = "group"
	}
	switch {
	case err != nil:
		d.fail(s.place(key), "%v", err)
	case set && os.Geteuid() != 0 && uid != uint32(os.Geteuid()):
		d.fail(s.place(key), "service %q cannot run as %q: that needs root", s.Name, s.User)
	}
}

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
	line("command", "%s", strings.Join(s.Command, " "))
	if s.User != "" || s.Group != "" {
		line("runs as", "user %s, group %s", orElse(s.User, "vigil's own"), orElse(s.Group, "the user's"))
	}
	line("ready", "%s", s.readyPlan())
	if s.Heartbeat.Timeout > 0 {
		line("heartbeat", "suspect after %s, a hang after %s of silence", short(s.Heartbeat.Suspect), short(s.Heartbeat.Timeout))
	} else {
		line("heartbeat", "none is expected, unless the service asks for it (WATCHDOG_USEC of sd_notify)")
	}
	line("hang", "%s", s.hangPlan())
	line("stop", "%s, after %s everything of it is killed", SignalName(s.StopSignal), short(s.StopTimeout))
	line("restart", "%s; %s", s.Restart.Mode, restart.Outlook(s.Restart))
	if s.Restart.Mode != restart.Never {
		line("delays", "%s", s.delays())
	}
	line("log", "%s, %d bytes, %d older ones", orElse(s.Log.Directory, "the state directory"), s.Log.MaxSize, s.Log.Keep)
}

func (s Service) readyPlan() string {
	switch {
	case s.Ready.Notify:
		return fmt.Sprintf("when it says READY=1, within %s", short(s.StartTimeout))
	case s.Ready.FD != 0:
		return fmt.Sprintf("when it writes a newline to descriptor %d, within %s", s.Ready.FD, short(s.StartTimeout))
	case s.Ready.After != 0:
		return fmt.Sprintf("when it has lived for %s", short(s.Ready.After))
	}
	return "when it is started"
}

func (s Service) hangPlan() string {
	if s.DryRun {
		return "dry run: told, nothing is done"
	}
	return fmt.Sprintf("its stacks are taken within %s, then it is killed and started again", short(s.Capture.Budget))
}

// delays is the table of the restart policy for a service that dies at once.
func (s Service) delays() string {
	var parts []string
	for _, step := range restart.Plan(s.Restart) {
		parts = append(parts, short(step.Delay))
	}
	return strings.Join(parts, ", ")
}

func short(d time.Duration) string {
	text := d.Round(time.Millisecond).String()
	text = strings.TrimSuffix(text, "m0s") + map[bool]string{true: "m"}[strings.HasSuffix(text, "m0s")]
	return text
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
