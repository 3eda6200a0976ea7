package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/configuration.md and testdata")

// reference writes docs/configuration.md from the rows.
func reference() []byte {
	var b bytes.Buffer
	b.WriteString("# Configuration\n\nGenerated from `supervisor/config/keys.go` by `go test ./supervisor/config -update`; do not edit.\n\n" +
		"TOML, strict: an unknown key, a wrong type or a value out of range is an error with file:line:column, and the nearest\n" +
		"known key. `vigil check` tells all of them, and what is wrong on this machine. Durations are Go's plus `d`\n" +
		"(`\"1h30m\"`, `\"2d12h\"`, at most 365d); sizes have a unit (`B KiB MiB GiB TiB KB MB GB TB`). Without FILE vigil reads\n" +
		"`./vigil.toml`, or else `/etc/vigil/vigil.toml` and `/etc/vigil/conf.d/*.toml`.\n\n" +
		"Names of services: 1 to 64 of `A-Z a-z 0-9 . _ @ -`, the first a letter or digit.\n")
	table := func(title string, rows []row) {
		fmt.Fprintf(&b, "\n## `%s`\n\n| key | takes | default | meaning |\n|---|---|---|---|\n", title)
		for _, r := range rows {
			doc := r.doc
			if r.later {
				doc = "*Not supported by this version: refused.* " + doc
			}
			if len(r.sub) > 0 {
				doc += " See below."
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.name, r.takes, r.def, doc)
		}
	}
	var walk func(title string, rows []row)
	walk = func(title string, rows []row) {
		table("["+title+"]", rows)
		for _, r := range rows {
			if len(r.sub) > 0 {
				walk(title+"."+r.name, r.sub)
			}
		}
	}
	walk("service.NAME", serviceRows())
	walk("incidents", incidentRows())
	return b.Bytes()
}

func TestReferenceIsCurrent(t *testing.T) {
	const path = "../../docs/configuration.md"
	if *update {
		if err := os.WriteFile(path, reference(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, reference()) {
		t.Errorf("docs/configuration.md is not current (%v): run go test ./supervisor/config -update", err)
	}
}

// TestDefaultsAreWhatTheRowsSay reads every default of a row that is TOML and
// compares the result with a service that says nothing.
func TestDefaultsAreWhatTheRowsSay(t *testing.T) {
	var walk func(rows []row, path string)
	checked := 0
	walk = func(rows []row, path string) {
		for _, r := range rows {
			key := strings.TrimPrefix(path+"."+r.name, ".")
			if r.sub != nil {
				walk(r.sub, key)
				continue
			}
			if r.later || !isTOML(r.def) {
				continue
			}
			checked++
			plain := mustLoad(t, "[service.a]\ncommand = [\"x\"]\n")
			said := mustLoad(t, "[service.a]\ncommand = [\"x\"]\n"+key+" = "+r.def+"\n")
			if plain.Hash != said.Hash {
				t.Errorf("%s = %s is not the default", key, r.def)
			}
		}
	}
	walk(serviceRows(), "")
	if checked < 15 {
		t.Errorf("only %d defaults were checked", checked)
	}
}

func isTOML(def string) bool {
	return def == "true" || def == "false" || strings.HasPrefix(def, `"`) || (def != "" && strings.Trim(def, "0123456789.-") == "")
}

func mustLoad(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Load([]string{writeFile(t, "v.toml", text)})
	if err != nil {
		t.Fatalf("cannot load:\n%s\n%v", text, err)
	}
	return c
}

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := t.TempDir() + "/" + name
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
