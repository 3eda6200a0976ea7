package place

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func environ(kv ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(kv); i += 2 {
			if kv[i] == name {
				return kv[i+1]
			}
		}
		return ""
	}
}

func TestResolve(t *testing.T) {
	tests := []struct {
		name           string
		o              Options
		runtime, state string
	}{
		{"root", Options{Getenv: environ("XDG_RUNTIME_DIR", "/x", "XDG_STATE_HOME", "/y")},
			"/run/vigil/default", "/var/lib/vigil/default"},
		{"root named", Options{Name: "web", Getenv: environ()}, "/run/vigil/web", "/var/lib/vigil/web"},
		{"user", Options{UID: 7, Name: "web", Getenv: environ("XDG_RUNTIME_DIR", "/run/user/7", "XDG_STATE_HOME", "/y")},
			"/run/user/7/vigil/web", "/y/vigil/web"},
		{"user without XDG", Options{UID: 7, Temporary: "/nowhere", Getenv: environ("XDG_RUNTIME_DIR", "rel", "HOME", "/home/u")},
			"/nowhere/vigil-7/default", "/home/u/.local/state/vigil/default"},
		{"environment", Options{Getenv: environ(EnvRuntimeDir, "/r", EnvStateDir, "/s")}, "/r", "/s"},
		{"flags beat environment", Options{RuntimeDir: "/fr", StateDir: "/fs", Getenv: environ(EnvRuntimeDir, "/r", EnvStateDir, "/s")}, "/fr", "/fs"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := Resolve(test.o)
			if err != nil {
				t.Fatal(err)
			}
			if p.Runtime != test.runtime || p.State != test.state {
				t.Errorf("got %s and %s, want %s and %s", p.Runtime, p.State, test.runtime, test.state)
			}
		})
	}
}

func TestResolveRelativeOverride(t *testing.T) {
	t.Chdir(t.TempDir())
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Resolve(Options{RuntimeDir: "run", StateDir: "./state", Getenv: environ()})
	if err != nil {
		t.Fatal(err)
	}
	if p.Runtime != filepath.Join(wd, "run") || p.State != filepath.Join(wd, "state") {
		t.Errorf("got %s and %s", p.Runtime, p.State)
	}
}

func TestResolveErrors(t *testing.T) {
	if _, err := Resolve(Options{Name: "../x", Getenv: environ()}); !errors.Is(err, ErrName) {
		t.Errorf("name: %v", err)
	}
	_, err := Resolve(Options{UID: 7, Getenv: environ("XDG_RUNTIME_DIR", "/r")})
	if err == nil || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("no home: %v", err)
	}
}

func TestCheckName(t *testing.T) {
	for _, good := range []string{"a", "default", "web-1", "x.y_z", "x@1", "9", strings.Repeat("n", MaxName)} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", "-x", ".x", "_x", "@", "a/b", "a b", "a\n", "ä", "a\x00", strings.Repeat("n", MaxName+1)} {
		if err := CheckName(bad); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	p, err := Resolve(Options{RuntimeDir: dir + "/a/run", StateDir: dir + "/b/state", Getenv: environ()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Create(); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{p.Runtime, p.State} {
		info, err := os.Stat(d)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != fs.ModeDir|0o700 {
			t.Errorf("%s has mode %v", d, info.Mode())
		}
	}
}

func TestCreateRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Resolve(Options{RuntimeDir: dir, StateDir: dir + "/file/state", Getenv: environ()})
	if err != nil {
		t.Fatal(err)
	}
	want := "cannot create state directory " + dir + "/file/state: not a directory; choose another by --state-dir or VIGIL_STATE_DIR"
	if err := p.Create(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestCreateNotWritable(t *testing.T) {
	// As root every directory of a writable file system can be written to;
	// /proc/self/task cannot by anybody.
	p := Place{Name: "x", Runtime: t.TempDir(), State: "/proc/self/task"}
	err := p.Create()
	if err == nil || !strings.Contains(err.Error(), "state directory /proc/self/task: ") || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("got %v", err)
	}
}

func TestPrivateFallback(t *testing.T) {
	uid := os.Geteuid()
	tmp := t.TempDir()
	o := Options{UID: 4711, Temporary: tmp, StateDir: tmp + "/state", Getenv: environ()}
	p, err := Resolve(o)
	if err != nil {
		t.Fatal(err)
	}
	if uid == 4711 {
		t.Skip("this test needs a uid other than 4711")
	}
	// We make it, so it belongs to us and not to 4711.
	if err := p.Create(); !errors.Is(err, ErrForeign) {
		t.Errorf("somebody else's: %v", err)
	}
	if _, err := Resolve(o); !errors.Is(err, ErrForeign) {
		t.Errorf("a client must refuse it too: %v", err)
	}
}

func TestCheckPrivate(t *testing.T) {
	uid := os.Geteuid()
	dir := t.TempDir() + "/d"
	if err := checkPrivate(dir, uid); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if err := makePrivate(dir, uid); err != nil {
		t.Errorf("fresh: %v", err)
	}
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := checkPrivate(dir, uid); !errors.Is(err, ErrForeign) {
		t.Errorf("open to a group: %v", err)
	}
	link := t.TempDir() + "/l"
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if err := checkPrivate(link, uid); !errors.Is(err, ErrForeign) {
		t.Errorf("link: %v", err)
	}
}

func TestSocket(t *testing.T) {
	p := Place{Runtime: "/" + strings.Repeat("r", MaxSocketPath-len("/")-len("/s"))}
	if path, err := p.Socket("s"); err != nil || len(path) != MaxSocketPath {
		t.Errorf("%d bytes: %v", len(path), err)
	}
	if _, err := p.Socket("ss"); !errors.Is(err, ErrSocketPath) || !strings.Contains(err.Error(), "108") {
		t.Errorf("too long: %v", err)
	}
}

func TestFind(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{"run/vigil/web", "run/vigil/.hidden", "state/vigil/old", "state/vigil/web"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{UID: 7, Getenv: environ("XDG_RUNTIME_DIR", base+"/run", "XDG_STATE_HOME", base+"/state")}
	places, looked, err := Find(o)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range places {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "default old web" || looked != base+"/run/vigil" {
		t.Errorf("got %s in %s", got, looked)
	}
	o.RuntimeDir = base + "/other"
	places, looked, err = Find(o)
	if err != nil || len(places) != 1 || looked != base+"/other" {
		t.Errorf("override: %v in %s, %v", places, looked, err)
	}
}
