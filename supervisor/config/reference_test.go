package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/configuration.md, docs/vigil.schema.json and testdata")

// reference writes docs/configuration.md from the rows.
func reference(t *testing.T) string {
	example, err := os.ReadFile("testdata/example.toml")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("# Configuration\n\nGenerated from the table of keys in `supervisor/config` by `go test ./supervisor/config -update`; do not edit.\n" + preface +
		"\n```toml\n" + string(example) + "```\n")
	var walk func(title string, r row)
	walk = func(title string, r row) {
		if r.open != nil {
			fmt.Fprintf(&b, "\n## `[[%s]]`\n\n", title)
		} else {
			fmt.Fprintf(&b, "\n## `[%s]`\n\n", title)
		}
		if r.doc != "" {
			fmt.Fprintf(&b, "%s\n\n", r.doc)
		}
		b.WriteString("| key | takes | default | meaning |\n|---|---|---|---|\n")
		for _, s := range r.sub {
			switch {
			case s.sub != nil:
				fmt.Fprintf(&b, "| `%s` | %s |  | [below](#%s) |\n", s.name, s.words(), anchor(title+"."+s.name))
			default:
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.name, s.words(), s.initial(), s.doc)
			}
		}
		for _, s := range r.sub {
			if s.sub != nil {
				walk(title+"."+s.name, s)
			}
		}
	}
	walk("service.NAME", row{sub: serviceRows()})
	walk("incidents", row{doc: "The store of incidents.", sub: incidentRows()})
	return b.String()
}

const preface = `
TOML, strict: an unknown key, a wrong type or a value out of range is an error with file:line:column and the nearest
known key, and nothing is started. All mistakes are told in one run, ` + "20" + ` at most. Without FILE vigil reads
` + "`./vigil.toml`, or else `/etc/vigil/vigil.toml` and `/etc/vigil/conf.d/*.toml`" + ` in the order of their names. Several
files are one configuration; a service that two of them define is an error. A file may have 4 MiB.

- **Names** of services: 1 to 64 of ` + "`A-Z a-z 0-9 . _ @ -`" + `, the first a letter or digit. A name with a dot is quoted: ` + "`[service.\"a.b\"]`" + `.
- **Durations** are strings, Go's plus ` + "`d`: `\"500ms\"`, `\"1h30m\"`, `\"2d12h\"`" + `; 365d at most.
- **Sizes** are strings with a unit, ` + "`B KiB MiB GiB TiB`" + ` (1024) or ` + "`KB MB GB TB` (1000): `\"64MiB\"`" + `. 0 needs none.
- **Signals** are names, with or without SIG: ` + "`\"TERM\"`, `\"SIGUSR1\"`, `\"RTMIN+3\"`" + `. Numbers are refused, since they differ between machines.
- **Octal strings** are like ` + "`\"027\"`; TOML's own `0o027`" + ` is taken too.

An editor with a language server for TOML checks a file as you write, by [vigil.schema.json](vigil.schema.json), if its first
line is ` + "`#:schema PATH/vigil.schema.json`" + `. The schema knows one key at a time; vigil knows more.
`

// words are the kind and its bounds.
func (r row) words() string {
	switch {
	case r.enum != nil:
		return "`" + strings.Join(r.enum, "`, `") + "`"
	case r.takes == takesInteger || r.takes == takesNumber:
		return fmt.Sprintf("%s, %d to %d", r.takes, r.low, r.high)
	case r.takes == takesDuration:
		return fmt.Sprintf("%s, %s or more", r.takes, short(time.Duration(r.low)))
	case r.takes == takesSize:
		return fmt.Sprintf("%s, %s to %s", r.takes, sizeWords(r.low), sizeWords(r.high))
	}
	return string(r.takes)
}

func (r row) initial() string {
	if r.def != "" {
		return "`" + r.def + "`"
	}
	return r.unset
}

// anchor is what GitHub makes of a headline.
func anchor(title string) string {
	return strings.ToLower(strings.ReplaceAll(title, ".", ""))
}

func TestReferenceIsCurrent(t *testing.T) {
	golden(t, "../../docs/configuration.md", reference(t))
}

// TestExample loads the example of the reference, and holds that it is about
// every table.
func TestExample(t *testing.T) {
	c, err := Load([]string{"testdata/example.toml"})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, s := range c.Services {
		for key := range s.seen.places {
			found[key] = true
		}
	}
	for _, r := range serviceRows() {
		if r.sub != nil && !found[r.name] {
			t.Errorf("the example says nothing of %q", r.name)
		}
	}
}

// TestRows holds what the reference, the schema and the decoder rely on.
func TestRows(t *testing.T) {
	var walk func(rows []row, path string)
	walk = func(rows []row, path string) {
		names := map[string]bool{}
		for _, r := range rows {
			key := joinKey(path, r.name)
			if names[r.name] {
				t.Errorf("%s is there twice", key)
			}
			names[r.name] = true
			if r.doc == "" || !strings.HasSuffix(r.doc, ".") || strings.Contains(r.doc, "|") {
				t.Errorf("%s: doc %q", key, r.doc)
			}
			if ways := map[bool]int{true: 1}; ways[r.set != nil]+ways[r.sub != nil] != 1 {
				t.Errorf("%s must be one of: set, sub", key)
			}
			if r.takes == takesInteger && r.set != nil && r.low >= r.high {
				t.Errorf("%s has no bounds", key)
			}
			walk(r.sub, key)
		}
	}
	walk(topRows(), "")
}

// TestDefaultsAreWhatTheRowsSay reads every default of a row that is TOML and
// compares the result with a service that says nothing.
func TestDefaultsAreWhatTheRowsSay(t *testing.T) {
	var walk func(rows []row, path string)
	checked := 0
	walk = func(rows []row, path string) {
		for _, r := range rows {
			key := strings.TrimPrefix(path+"."+r.name, ".")
			if r.open != nil {
				continue // TestDefaultsOfTables
			}
			if r.sub != nil {
				walk(r.sub, key)
				continue
			}
			if r.def == "" {
				continue
			}
			checked++
			plain := mustLoad(t, "[service.a]\ncommand = [\"x\"]\n")
			text := "[service.a]\ncommand = [\"x\"]\n" + key + " = " + r.def + "\n"
			if strings.HasPrefix(key, "incidents.") {
				text = key + " = " + r.def + "\n[service.a]\ncommand = [\"x\"]\n"
			}
			said := mustLoad(t, text)
			if plain.Hash != said.Hash {
				t.Errorf("%s = %s is not the default", key, r.def)
			}
		}
	}
	walk(serviceRows(), "")
	walk(incidentRows(), "incidents")
	if checked < 20 {
		t.Errorf("only %d defaults were checked", checked)
	}
}

// TestDefaultsOfTables is the same for the elements of arrays of tables.
func TestDefaultsOfTables(t *testing.T) {
	const service = "[service.a]\ncommand = [\"x\"]\n"
	needed := map[string]string{"output": "pattern = \"x\"\n", "thread": "name = \"x*\"\n", "probe": "name = \"x\"\nexec = [\"y\"]\n"}
	for _, r := range serviceRows() {
		if r.open == nil {
			continue
		}
		head := service + "[[service.a." + r.name + "]]\n" + needed[r.name]
		plain := mustLoad(t, head)
		for _, sub := range r.sub {
			if sub.def == "" {
				continue
			}
			if said := mustLoad(t, head+sub.name+" = "+sub.def+"\n"); plain.Hash != said.Hash {
				t.Errorf("%s.%s = %s is not the default", r.name, sub.name, sub.def)
			}
		}
	}
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
