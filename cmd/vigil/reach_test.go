package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/control/server"
	"github.com/vigil-supervisor/vigil/internal/place"
)

// world is a runtime directory with instances, each with services.
func world(t *testing.T, instances map[string][]string) place.Options {
	t.Helper()
	dir := t.TempDir()
	o := place.Options{UID: 4711, Getenv: func(name string) string {
		if name == "XDG_RUNTIME_DIR" || name == "XDG_STATE_HOME" {
			return dir
		}
		return ""
	}}
	for name, services := range instances {
		o := o
		o.Name = name
		p, err := place.Resolve(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Create(); err != nil {
			t.Fatal(err)
		}
		if services == nil {
			continue // it does not run
		}
		ln, err := server.Listen(filepath.Join(p.Runtime, control.SocketName))
		if err != nil {
			t.Fatal(err)
		}
		f := fake{name: name}
		for _, s := range services {
			f.services = append(f.services, control.Service{Service: s, State: "running"})
		}
		s := server.Serve(ln, f)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := s.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	return o
}

func TestReach(t *testing.T) {
	tests := []struct {
		name      string
		instances map[string][]string
		args      string
		code      int
		want      string // in the output
		not       string
	}{
		{"the default one", map[string][]string{"default": {"web"}, "other": {"db"}}, "status", exitDone, "web", "db "},
		{"all without the default one", map[string][]string{"default": nil, "a": {"x"}, "b": {"y"}}, "status --json", exitDone, `"y"`, ""},
		{"by name", map[string][]string{"default": {"web"}, "other": {"db"}}, "--name other status", exitDone, "db", "web"},
		{"a name that does not run", map[string][]string{"default": {"web"}, "other": nil}, "--name other status", exitNothing, `vigil "other" is not running`, ""},
		{"nothing runs", map[string][]string{"a": nil}, "status", exitNothing, "looked in", ""},
		{"by service", map[string][]string{"default": {"web"}, "other": {"db"}}, "stop db", exitDone, "db is other-stop", ""},
		{"the default one first", map[string][]string{"default": {"web"}, "other": {"web"}}, "stop web", exitDone, "web is default-stop", "other"},
		{"several instances", map[string][]string{"default": {"web"}, "other": {"db"}}, "stop db web", exitDone, "web is default-stop", ""},
		{"ambiguous", map[string][]string{"a": {"web"}, "b": {"web"}}, "stop web", exitUsage, "a, b", ""},
		{"nobody has it", map[string][]string{"a": {"x"}, "b": {"y"}}, "stop web", exitNothing, `no instance has a service "web"`, ""},
		{"events of one", map[string][]string{"a": {"x"}}, "events", exitDone, "state", ""},
		{"events of several", map[string][]string{"a": {"x"}, "b": {"y"}}, "events", exitUsage, "a, b", ""},
		{"logs of the only service", map[string][]string{"a": {"x"}}, "logs", exitDone, "one", ""},
		{"a hint at others", map[string][]string{"default": {"web"}, "other": {"db"}}, "status", exitDone, "vigil --name other status", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			output, err := os.Create(filepath.Join(t.TempDir(), "output"))
			if err != nil {
				t.Fatal(err)
			}
			defer output.Close()
			a := newApp(output, output)
			a.place = world(t, test.instances)
			code := a.run(strings.Fields(test.args))
			text, err := os.ReadFile(output.Name())
			if err != nil {
				t.Fatal(err)
			}
			if code != test.code || !strings.Contains(string(text), test.want) || test.not != "" && strings.Contains(string(text), test.not) {
				t.Errorf("exit code %d, want %d with %q and without %q:\n%s", code, test.code, test.want, test.not, text)
			}
		})
	}
}
