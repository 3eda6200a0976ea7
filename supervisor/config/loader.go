package config

import (
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// loader collects services over several files.
type loader struct {
	config  *Config
	rows    []row
	defined map[string]place
	broken  bool // some file is, so not all services are known
	mistakes
}

func newLoader(files []string) *loader {
	return &loader{config: &Config{Files: files, Incidents: defaultIncidents()}, rows: serviceRows(), defined: map[string]place{}}
}

// whole is a mistake of a file without a line.
func (l *loader) whole(file, message string) {
	l.count++
	if !l.full() {
		l.errs = append(l.errs, Error{File: file, Message: message})
	}
}

func (l *loader) read(file string, data []byte) {
	doc := parseDocument(file, data)
	l.broken = l.broken || doc.broken
	var d decoder
	for _, name := range doc.root.names {
		e := doc.root.keys[name]
		switch name {
		case "service":
			if d.isTable(e.value, "service") {
				l.services(&d, e.value, doc.broken)
			}
		case "incidents":
			if d.isTable(e.value, "incidents") {
				d.table(incidentRows(), target{incidents: &l.config.Incidents}, e.value, "incidents", nil)
			}
		default:
			d.unknown(name, "-", topRows(), e)
		}
	}
	l.take(doc.mistakes)
	l.take(d.mistakes)
}

// services reads the services of one file. Those of a broken one are read for
// their mistakes only: what they lack may stand behind the break.
func (l *loader) services(d *decoder, n *node, broken bool) {
	for _, name := range n.names {
		e := n.keys[name]
		if !validName(name) {
			d.fail(e.at, "%s", badName(name))
			continue
		}
		if old, twice := l.defined[name]; twice {
			d.fail(e.at, "service %q is already defined at %s", name, old)
		} else {
			l.defined[name] = e.at
		}
		if e.value.kind != unstable.Table {
			hint := ""
			for _, r := range l.rows {
				if r.name == name {
					hint = "; keys of a service belong under [service.NAME]"
				}
			}
			d.fail(e.value.at, "service %q must be a table, not %s%s", name, kindName(e.value.kind), hint)
			continue
		}
		s := defaultService(name)
		s.seen = newSeen(e.at)
		d.table(l.rows, target{service: &s}, e.value, "", s.seen)
		if !broken {
			s.settle(d)
		}
		if l.defined[name] == e.at { // of two only the first counts
			l.config.Services = append(l.config.Services, s)
		}
	}
}

// check is what one service alone cannot tell.
func (l *loader) check() {
	if len(l.config.Services) == 0 && l.count == 0 && len(l.config.Files) > 0 {
		l.whole(l.config.Files[0], "there is no service in it: add a table like [service.web] with a command")
	}
	if l.broken {
		return
	}
	var d decoder
	checkOrder(&d, l.config.Services, l.defined)
	l.take(d.mistakes)
}

func badName(name string) string {
	const most = 80
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "") + "..."
	}
	return fmt.Sprintf("%q cannot be the name of a service: 1 to 64 of A-Z a-z 0-9 . _ @ -, the first a letter or digit", name)
}
