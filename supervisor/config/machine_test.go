package config

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	given := []string{"b.toml", "a.toml"}
	if files, err := Files(given); err != nil || !slices.Equal(files, given) {
		t.Errorf("given: %q, %v", files, err)
	}
	files, err := Files(nil)
	if _, serr := os.Stat(systemFile); serr == nil {
		t.Logf("this machine has %s: no test of none", systemFile)
	} else if len(files) == 0 && !errors.Is(err, ErrNoFiles) {
		t.Errorf("none: %q, %v", files, err)
	}
	if err := os.WriteFile(localFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if files, err := Files(nil); err != nil || !slices.Equal(files, []string{localFile}) {
		t.Errorf("local: %q, %v", files, err)
	}
}

// systemFiles in a directory of its own: conf.d comes sorted, after the main file.
func TestSystemFiles(t *testing.T) {
	dir := t.TempDir()
	drop := filepath.Join(dir, "conf.d")
	if err := os.Mkdir(drop, 0o700); err != nil {
		t.Fatal(err)
	}
	main := filepath.Join(dir, "vigil.toml")
	var want []string
	for _, f := range []string{main, filepath.Join(drop, "10-a.toml"), filepath.Join(drop, "20-b.toml")} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, f)
	}
	if err := os.WriteFile(filepath.Join(drop, "note.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := systemFiles(main, filepath.Join(drop, "*.toml"))
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("got %q, %v", files, err)
	}
}

func TestCommand(t *testing.T) {
	s, err := Command("web", []string{"sleep", "1000"})
	if err != nil || s.Name != "web" || !s.Autostart || s.StopTimeout == 0 {
		t.Errorf("got %+v, %v", s, err)
	}
	for want, err := range map[string]error{
		`command line: "a b" cannot be the name of a service`: second(Command("a b", []string{"x"})),
		`command line: service "web" has no command`:          second(Command("web", nil)),
		`command line: the command of service "web" is empty`: second(Command("web", []string{""})),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	s.Heartbeat = Heartbeat{Timeout: 10e9}
	c, err := Single(s)
	if err != nil || c.Services[0].Heartbeat.Suspect != 6e9 || c.Hash == "" {
		t.Errorf("got %+v, %v", c, err)
	}
	s.Heartbeat.Suspect = 20e9
	if c, err := Single(s); err == nil || c != nil {
		t.Errorf("a contradiction is taken: %+v", c)
	}
}

func second(_ Service, err error) error { return err }

func TestCredentials(t *testing.T) {
	if _, _, _, set, _, err := Credentials(Service{}); set || err != nil {
		t.Errorf("nobody asked for: set %v, %v", set, err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	uid, gid, _, set, home, err := Credentials(Service{User: me.Username})
	if err != nil || !set || strconv.Itoa(int(uid)) != me.Uid || strconv.Itoa(int(gid)) != me.Gid || home != me.HomeDir {
		t.Errorf("%s: %d %d %v %q, %v", me.Username, uid, gid, set, home, err)
	}
	uid, gid, groups, _, home, err := Credentials(Service{User: "54321", Group: "54322", Groups: []string{"7", "8"}})
	if err != nil || uid != 54321 || gid != 54322 || !slices.Equal(groups, []uint32{7, 8}) || home != "/" {
		t.Errorf("numbers: %d %d %v %q, %v", uid, gid, groups, home, err)
	}
	if uid, gid, _, _, _, err := Credentials(Service{Group: "54322"}); err != nil || int(uid) != os.Getuid() || gid != 54322 {
		t.Errorf("a group alone: %d %d, %v", uid, gid, err)
	}
	for want, s := range map[string]Service{
		`user "no-such-user" does not exist: create it, or name another`:   {User: "no-such-user"},
		`group "no-such-group" does not exist: create it, or name another`: {Group: "no-such-group"},
		`group "no-such-extra" does not exist: create it, or name another`: {Groups: []string{"no-such-extra"}},
		`user "4294967295" `:    {User: "4294967295"},
		`group "4294967295" `:   {Group: "4294967295"},
		`user "-1" does not`:    {User: "-1"},
		`group "99999999999" d`: {Group: "99999999999"},
	} {
		if _, _, _, set, _, err := Credentials(s); err == nil || set || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestResolveIsRelativeToTheDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "tool"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ command, path, want string }{
		{"bin/tool", "/nowhere", "bin/tool"},
		{"tool", "/nowhere:bin", "bin/tool"},
	} {
		s := Service{Name: "a", Command: []string{c.command}, Directory: dir, Environment: map[string]string{"PATH": c.path}}
		if got, err := Resolve(s); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v", c.command, got, err)
		}
	}
	s := Service{Name: "a", Command: []string{"tool"}, Directory: filepath.Join(dir, "bin"), Environment: map[string]string{"PATH": ""}}
	_, err := Resolve(s)
	if err == nil || err.Error() != `command "tool" not found in PATH ()` || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty PATH: %v", err)
	}
	s.Environment["PATH"] = "/nowhere:"
	if got, err := Resolve(s); err != nil || got != "./tool" {
		t.Errorf("an empty part of PATH: %q, %v", got, err)
	}
	if _, err := Resolve(Service{Name: "a"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no command: %v", err)
	}
}

func TestCheckOfAGoodService(t *testing.T) {
	c := mustLoad(t, "[service.a]\ncommand = [\"sh\"]\ndirectory = \"/\"\n")
	if errs := c.Check(); len(errs) != 0 {
		t.Errorf("got %v", errs)
	}
}

func TestCheckOfDirectories(t *testing.T) {
	file := writeFile(t, "file", "")
	c := mustLoad(t, "[service.a]\ncommand = [\"/\"]\ndirectory = \""+file+"\"\ngroups = [\"no-such-group\"]\n")
	text := c.Check().Error()
	for _, want := range []string{":2:1: command \"/\" is a directory", ":3:13: ", " is not a directory", ":4:1: group \"no-such-group\" does not exist"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestMayBecome(t *testing.T) {
	for _, c := range []struct {
		uid, gid, euid, egid uint32
		want                 bool
	}{{5, 6, 0, 0, true}, {5, 6, 5, 6, true}, {5, 7, 5, 6, false}, {0, 6, 5, 6, false}, {0, 0, 5, 6, false}} {
		if got := mayBecome(c.uid, c.gid, c.euid, c.egid); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// A terminal takes nothing from a plan but text.
func TestPlanIsPlain(t *testing.T) {
	text := Plan(mustLoad(t, "[service.a]\ncommand = [\"x\", \"two words\", \"\\u001b[31m\", \"\"]\nready.after = \"1h\"\nuser = \"\\u001b\"\n"))
	for _, want := range []string{`command    x "two words" "\x1b[31m" ""`, "when it has lived for 1h\n", `user "\x1b", group the user's`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// Numbers as TOML writes them, and none that it does not.
func TestNumbers(t *testing.T) {
	for text, good := range map[string]bool{
		"1_000": true, "0x1f": true, "0o17": true, "0b11": true, "+5": true,
		"1__0": false, "_1": false, "1_": false, "007": false, "0x": false, "1e3": false, "99999999999999999999": false,
	} {
		_, err := Load([]string{writeFile(t, "v.toml", "[service.a]\ncommand = [\"x\"]\nlog.keep = "+text+"\n")})
		if (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The meaning of a file is hashed, not its bytes.
func TestHash(t *testing.T) {
	one := mustLoad(t, "[service.b]\ncommand = [\"x\"]\n[service.a]\ncommand = [\"y\"]\n")
	same := mustLoad(t, "# words\n[service.a]\ncommand=[\"y\"]\nenvironment = {}\n[service.b]\nstop_timeout = \"20s\"\ncommand=[\"x\"]\n")
	other := mustLoad(t, "[service.b]\ncommand = [\"x\"]\n[service.a]\ncommand = [\"y\"]\nstop_timeout = \"21s\"\n")
	if one.Hash != same.Hash || one.Hash == other.Hash || len(one.Hash) != 16 {
		t.Errorf("hashes %s %s %s", one.Hash, same.Hash, other.Hash)
	}
	if one.Services[0].Hash() != other.Services[0].Hash() {
		t.Error("a longer stop_timeout would need a restart")
	}
}
