package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

func TestLoadWhole(t *testing.T) {
	c := mustLoad(t, `
[service.web]
command = ["/bin/true", "-v"]
user = "root"
directory = "/tmp"
environment = { A = "1", B = "two words" }
inherit_environment = false
umask = "027"
limits = { nofile = 65536, core = "unlimited" }
nice = -5
oom_score_adj = 100
no_new_privileges = true
start_timeout = "1d"
stop_signal = "SIGINT"
stop_timeout = "1m30s"
runtime = "go"
autostart = false
output_tail = "1MiB"
[service.web.ready]
notify = true
[service.web.restart]
policy = "on-failure"
backoff = { min = "1s", max = "2s", factor = 3, jitter = 0.5 }
reset_after = "5m"
limit = { starts = 3, within = "1h" }
[service.web.heartbeat]
timeout = "10s"
[service.web.capture]
budget = "5s"
variables = false
core_limit = 0
[service.web.log]
max_size = "1MB"
keep = 2
[service.db]
command = ["true"]
[incidents]
max_bytes = "1GiB"
min_free = "5GiB"
min_free_inodes = "2.5%"
max_per_fingerprint = 7
`)
	if len(c.Services) != 2 || c.Services[0].Name != "db" {
		t.Fatalf("services are not sorted by name: %+v", c.Services)
	}
	s, ok := c.Service("web")
	if !ok {
		t.Fatal("no service web")
	}
	two := uint64(65536)
	checks := map[string]bool{
		"command":   len(s.Command) == 2 && s.Command[1] == "-v",
		"env":       s.Environment["B"] == "two words" && !s.InheritEnvironment,
		"umask":     s.Umask != nil && *s.Umask == 0o27,
		"limits":    s.Limits.NoFile != nil && *s.Limits.NoFile == two && *s.Limits.Core == ^uint64(0),
		"nice":      *s.Nice == -5 && *s.OOMScoreAdj == 100 && s.NoNewPrivileges,
		"times":     s.StartTimeout == 24*time.Hour && s.StopTimeout == 90*time.Second,
		"signal":    s.StopSignal == syscall.SIGINT,
		"tail":      s.OutputTail == 1<<20 && !s.Autostart,
		"restart":   s.Restart == restart.Policy{Mode: restart.OnFailure, Min: time.Second, Max: 2 * time.Second, Factor: 3, Jitter: 0.5, ResetAfter: 5 * time.Minute, LimitStarts: 3, LimitWithin: time.Hour},
		"heartbeat": s.Heartbeat == Heartbeat{Timeout: 10 * time.Second, Suspect: 6 * time.Second, Activities: 63},
		"capture":   s.Capture.Budget == 5*time.Second && !s.Capture.Variables && s.Capture.CoreLimit == 0,
		"log":       s.Log.MaxSize == 1e6 && s.Log.Keep == 2,
		"incidents": c.Incidents.MaxBytes == 1<<30 && c.Incidents.MinFree == Free{Bytes: 5 << 30} && c.Incidents.MaxAge == 30*24*time.Hour && c.Incidents.MinFreeInodes == 2.5 && c.Incidents.MaxPerFingerprint == 7,
	}
	for what, good := range checks {
		if !good {
			t.Errorf("%s is wrong: %+v", what, s)
		}
	}
}

// Each mistake is told at its place, in these words.
func TestMistakes(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "[service.a]\ncomand = [\"x\"]\ncommand = [\"x\"]", `2:1: unknown key "comand"; did you mean "command"?`},
		{"key of another table", "[service.a]\ncommand = [\"x\"]\nbudget = \"2s\"", `3:1: unknown key "budget"; there is one in the table "capture" of a service`},
		{"unknown table", "[servce.a]\ncommand = [\"x\"]", `1:2: unknown key "servce"; did you mean "service"?`},
		{"wrong type", "[service.a]\ncommand = \"x\"", `2:11: this must be an array of strings, not a string`},
		{"wrong item", "[service.a]\ncommand = [\"x\", 3]", `2:17: this must be a string, not an integer`},
		{"no command", "[service.a]\nnice = 1", `1:10: service "a" has no command`},
		{"empty command", "[service.a]\ncommand = []", `2:1: the command of service "a" is empty`},
		{"negative", "[service.a]\ncommand = [\"x\"]\nstop_timeout = \"-1s\"", `3:16: duration "-1s" is negative`},
		{"huge", "[service.a]\ncommand = [\"x\"]\nstop_timeout = \"366d\"", `3:16: duration "366d" is longer than 365d`},
		{"huge hours", "[service.a]\ncommand = [\"x\"]\nstop_timeout = \"99999999h\"", `3:16: duration "99999999h" is longer than 365d`},
		{"no unit", "[service.a]\ncommand = [\"x\"]\nstop_timeout = 20", `3:16: this must be a duration in quotes, like "30s", not an integer`},
		{"signal", "[service.a]\ncommand = [\"x\"]\nstop_signal = \"TREM\"", `3:15: unknown signal "TREM"; did you mean "TERM"?`},
		{"name", "[service.\"-a\"]\ncommand = [\"x\"]", `1:10: "-a" cannot be the name of a service`},
		{"suspect", "[service.a]\ncommand = [\"x\"]\nheartbeat = { timeout = \"2s\", suspect = \"3s\" }", `3:41: suspect (3s) must be shorter than timeout (2s)`},
		{"backoff", "[service.a]\ncommand = [\"x\"]\nrestart.backoff = { min = \"2m\" }", `3:27: min (2m) must not be longer than max (1m)`},
		{"two ways", "[service.a]\ncommand = [\"x\"]\nready = { notify = true, after = \"1s\" }", `a service is ready in one way: notify, after, fd or probe`},
		{"no way to ask", "[service.a]\ncommand = [\"x\"]\n[[service.a.probe]]\nname = \"y\"", `3:13: probe "y" asks in one way: exec, tcp, http or zookeeper`},
		{"a demand of tcp", "[service.a]\ncommand = [\"x\"]\nprobe = [{ name = \"y\", tcp.address = \"h:1\" }]\nthread = [{ name = \"z\", expect = \"progress\", while = \"y\" }]", `4:54: probe "y" only connects`},
		{"no array", "[service.a]\ncommand = [\"x\"]\n[service.a.probe]\nname = \"y\"", `3:12: probe must be an array of tables ([[service.NAME.probe]]), not a table`},
		{"twice", "[service.a]\ncommand = [\"x\"]\n[service.a]\ncommand = [\"y\"]", `3:10: key "a" is already defined at `},
		{"syntax", "[service.a\ncommand = [\"x\"]", `1:11: `},
		{"umask", "[service.a]\ncommand = [\"x\"]\numask = 22", `3:9: write the umask as an octal string, like "027"`},
		{"range", "[service.a]\ncommand = [\"x\"]\nnice = 20", `3:8: 20 is not from -20 to 19`},
		{"nothing", "# nothing\n", `there is no service in it`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeFile(t, "v.toml", c.text+"\n")
			_, err := Load([]string{path})
			var errs Errors
			if !errors.As(err, &errs) {
				t.Fatalf("no Errors: %v", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got\n%v\nwant\n%s", err, c.want)
			}
			if !strings.HasPrefix(err.Error(), path) {
				t.Errorf("the file is not named first: %v", err)
			}
		})
	}
}

func TestTwoFiles(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.toml"), filepath.Join(dir, "b.toml")
	text := []byte("[service.web]\ncommand = [\"x\"]\n")
	for _, p := range []string{a, b} {
		if err := os.WriteFile(p, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Load([]string{a, b})
	want := b + `:1:10: service "web" is already defined at ` + a + ":1"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestManyMistakesAreCut(t *testing.T) {
	text := "[service.a]\ncommand = [\"x\"]\n"
	for i := range 50 {
		text += "k" + strings.Repeat("z", i+1) + " = 1\n"
	}
	_, err := Load([]string{writeFile(t, "v.toml", text)})
	var errs Errors
	if !errors.As(err, &errs) || len(errs) != MaxErrors+1 || !strings.Contains(errs[MaxErrors].Message, "30 more") {
		t.Errorf("got %d errors, the last %v", len(errs), err)
	}
}

func TestTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v.toml")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(MaxFileSize + 1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load([]string{path}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "prog")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	service := func(cmd string) Service {
		s, err := Command("a", []string{cmd})
		if err != nil {
			t.Fatal(err)
		}
		s.Directory = dir
		s.Environment = map[string]string{"PATH": dir + ":/bin"}
		return s
	}
	for _, c := range []struct {
		cmd  string
		want error
	}{{"/nonexistent", fs.ErrNotExist}, {"nonexistent", fs.ErrNotExist}, {file, fs.ErrPermission}, {"prog", fs.ErrPermission}, {"./prog", fs.ErrPermission}, {dir, ErrIsDirectory}} {
		if _, err := Resolve(service(c.cmd)); !errors.Is(err, c.want) || !strings.Contains(err.Error(), filepath.Base(c.cmd)) {
			t.Errorf("%s: got %v, want %v", c.cmd, err, c.want)
		}
	}
	if path, err := Resolve(service("sh")); err != nil || path != "/bin/sh" {
		t.Errorf("sh: got %q, %v", path, err)
	}
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := Resolve(service("prog")); err != nil || path != file {
		t.Errorf("prog: got %q, %v", path, err)
	}
}

func TestEnvironment(t *testing.T) {
	s, err := Command("a", []string{"x"})
	if err != nil {
		t.Fatal(err)
	}
	s.Environment = map[string]string{"A": "own"}
	base := []string{"A=outer", "B=outer", "NOTIFY_SOCKET=/run/outer", "WATCHDOG_USEC=1", "VIGIL_INSTANCE=outer/x#1"}
	got := strings.Join(Environment(s, base), " ")
	if got != "B=outer A=own" {
		t.Errorf("got %q", got)
	}
	s.InheritEnvironment = false
	if got := strings.Join(Environment(s, base), " "); got != "A=own" {
		t.Errorf("got %q", got)
	}
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	c := mustLoad(t, "[service.a]\ncommand = [\"/nonexistent\"]\ndirectory = \"/nowhere\"\nuser = \"nobody-at-all\"\n")
	text := c.Check().Error()
	for _, want := range []string{`2:1: command "/nonexistent" does not exist`, `3:13: directory "/nowhere"`, `4:8: user "nobody-at-all" does not exist`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestPlanTellsTheDelays(t *testing.T) {
	text := Plan(mustLoad(t, "[service.a]\ncommand = [\"x\"]\nheartbeat = { timeout = \"10s\" }\n"))
	for _, want := range []string{"service a", "suspect after 6s, a hang after 10s", "gives up after 10 starts within 10m", "200ms, 400ms"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// A program of libgimli has the limits of its monitor, as far as none are given.
func TestGimliLimits(t *testing.T) {
	for _, c := range []struct {
		text             string
		start, run, stop time.Duration
	}{
		{"heartbeat.gimli = true", 200 * time.Second, 60 * time.Second, 60 * time.Second},
		{"start_timeout = \"60s\"\nstop_timeout = \"20s\"\nheartbeat = { gimli = true, timeout = \"5s\" }", 60 * time.Second, 5 * time.Second, 20 * time.Second},
		{"heartbeat.gimli = false", 60 * time.Second, 0, 20 * time.Second},
	} {
		s := mustLoad(t, "[service.x]\ncommand = [\"x\"]\n"+c.text+"\n").Services[0]
		if s.StartTimeout != c.start || s.Heartbeat.Timeout != c.run || s.StopTimeout != c.stop || s.Heartbeat.Suspect != c.run*6/10 {
			t.Errorf("%s: %v, %+v, %v", c.text, s.StartTimeout, s.Heartbeat, s.StopTimeout)
		}
	}
}
