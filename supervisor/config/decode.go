package config

import (
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/vigil-supervisor/vigil/supervisor/restart"
)

// decoder turns the tree of one document into values. A wrong value is an error
// at its place, and the reading goes on.
type decoder struct{ errs Errors }

func (d *decoder) fail(at place, format string, args ...any) {
	d.errs = append(d.errs, at.error(format, args...))
}

// table reads a table by its rows.
func (d *decoder) table(rows []row, t target, n *node, places map[string]place) {
	prefix := t.key
	for _, name := range n.names {
		e := n.keys[name]
		at := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
		if at < 0 {
			d.unknown(name, prefix, rows, e)
			continue
		}
		r := rows[at]
		t.key = strings.TrimPrefix(prefix+"."+name, ".")
		places[t.key] = e.value.at
		switch {
		case r.later:
			d.fail(e.at, "key %q %s", t.key, notYet)
		case r.sub != nil && d.isTable(e.value, t.key):
			d.table(r.sub, t, e.value, places)
		case r.sub == nil:
			r.set(d, &t, e.value)
		}
	}
}

// unknown names the nearest key, or the table in which such a key belongs.
func (d *decoder) unknown(name, prefix string, rows []row, e *entry) {
	var names []string
	for _, r := range rows {
		names = append(names, r.name)
	}
	hint := suggest(name, names)
	if hint == "" {
		hint = elsewhere(name, prefix)
	}
	d.fail(e.at, "unknown key %q%s", name, hint)
}

// elsewhere finds the table of a service that has a key of that name.
func elsewhere(name, prefix string) string {
	var found string
	var walk func(rows []row, path string)
	walk = func(rows []row, path string) {
		for _, r := range rows {
			if r.name == name && path != prefix && found == "" {
				found = "; there is one in the table of a service"
				if path != "" {
					found = "; there is one in its table \"" + path + "\""
				}
			}
			walk(r.sub, strings.TrimPrefix(path+"."+r.name, "."))
		}
	}
	walk(serviceRows(), "")
	return found
}

func (d *decoder) isTable(n *node, name string) bool {
	if n.kind == unstable.Table {
		return true
	}
	d.fail(n.at, "%s must be a table, not %s", name, kindName(n.kind))
	return false
}

func kindName(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a string"
	case unstable.Bool:
		return "a boolean"
	case unstable.Integer:
		return "an integer"
	case unstable.Float:
		return "a float"
	case unstable.Array:
		return "an array"
	case unstable.Table:
		return "a table"
	case unstable.ArrayTable:
		return "an array of tables"
	}
	return "a date or time"
}

// want checks the kind of a value.
func (d *decoder) want(n *node, what string, kinds ...unstable.Kind) bool {
	if slices.Contains(kinds, n.kind) {
		return true
	}
	d.fail(n.at, "this must be %s, not %s", what, kindName(n.kind))
	return false
}

func (d *decoder) text(n *node) string {
	if !d.want(n, "a string", unstable.String) {
		return ""
	}
	if strings.ContainsRune(n.text, 0) {
		d.fail(n.at, "this must not hold a NUL byte")
	}
	return n.text
}

func (d *decoder) strings(n *node) []string {
	if !d.want(n, "an array of strings", unstable.Array) {
		return nil
	}
	out := make([]string, 0, len(n.items))
	for _, item := range n.items {
		out = append(out, d.text(item))
	}
	return out
}

func (d *decoder) variables(n *node) map[string]string {
	if !d.want(n, "a table of strings", unstable.Table) {
		return nil
	}
	out := map[string]string{}
	for _, name := range n.names {
		e := n.keys[name]
		if name == "" || strings.ContainsAny(name, "=\x00") {
			d.fail(e.at, "%q cannot be the name of an environment variable", name)
			continue
		}
		out[name] = d.text(e.value)
	}
	return out
}

func (d *decoder) boolean(n *node) bool {
	return d.want(n, "true or false", unstable.Bool) && n.text == "true"
}

func (d *decoder) integer(n *node, low, high int64) int {
	if !d.want(n, "an integer", unstable.Integer) {
		return int(low)
	}
	v, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 0, 64)
	if err != nil || v < low || v > high {
		d.fail(n.at, "%s is not from %d to %d", n.text, low, high)
		return int(low)
	}
	return int(v)
}

func (d *decoder) intPointer(n *node, low, high int64) *int {
	v := d.integer(n, low, high)
	return &v
}

func (d *decoder) number(n *node, low, high float64) float64 {
	if !d.want(n, "a number", unstable.Integer, unstable.Float) {
		return low
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), 64)
	if err != nil || !(v >= low && v <= high) {
		d.fail(n.at, "%s is not from %g to %g", n.text, low, high)
		return low
	}
	return v
}

func (d *decoder) duration(n *node, low time.Duration) time.Duration {
	if !d.want(n, `a duration in quotes, like "30s"`, unstable.String) {
		return low
	}
	v, err := ParseDuration(n.text)
	switch {
	case err != nil:
		d.fail(n.at, "%v", err)
	case v < low:
		d.fail(n.at, "duration %q is shorter than %s", n.text, low)
	default:
		return v
	}
	return low
}

func (d *decoder) size(n *node, low, high int64) int64 {
	if n.kind == unstable.Integer && n.text == "0" && low <= 0 {
		return 0
	}
	if !d.want(n, `a size in quotes, like "64MiB"`, unstable.String) {
		return low
	}
	v, err := ParseSize(n.text)
	switch {
	case err != nil:
		d.fail(n.at, "%v", err)
	case v < low || v > high:
		d.fail(n.at, "size %q is not from %d to %d bytes", n.text, low, high)
	default:
		return v
	}
	return low
}

func (d *decoder) free(n *node) Free {
	if !d.want(n, `a share or a size in quotes, like "10%"`, unstable.String) {
		return Free{}
	}
	v, err := ParseFree(n.text)
	if err != nil {
		d.fail(n.at, "%v", err)
	}
	return v
}

func (d *decoder) signal(n *node) syscall.Signal {
	if !d.want(n, `the name of a signal, like "TERM"`, unstable.String) {
		return 0
	}
	v, err := ParseSignal(n.text)
	if err != nil {
		d.fail(n.at, "%v", err)
	}
	return v
}

func (d *decoder) oneOf(n *node, values ...string) string {
	v := d.text(n)
	if n.kind == unstable.String && !slices.Contains(values, v) {
		d.fail(n.at, "%q is not one of %s%s", v, strings.Join(values, ", "), suggest(v, values))
		return values[0]
	}
	return v
}

func (d *decoder) mode(t *target, n *node) {
	var names []string
	for _, m := range restart.Modes() {
		names = append(names, string(m))
	}
	t.service.Restart.Mode = restart.Mode(d.oneOf(n, names...))
}

// umask takes octal digits in a string, or an octal TOML integer (0o027): a
// decimal one is a mistake that nobody sees.
func (d *decoder) umask(n *node) *int {
	digits := n.text
	if n.kind == unstable.Integer {
		digits = strings.TrimPrefix(n.text, "0o")
		if digits == n.text {
			d.fail(n.at, "write the umask as an octal string, like \"027\"")
			return nil
		}
	} else if !d.want(n, `an octal string, like "027"`, unstable.String) {
		return nil
	}
	v, err := strconv.ParseUint(digits, 8, 16)
	if err != nil || v > 0o777 {
		d.fail(n.at, "%q is not an octal number from 000 to 777", n.text)
		return nil
	}
	mask := int(v)
	return &mask
}

func (d *decoder) limit(n *node) *uint64 {
	if n.kind == unstable.String && n.text == "unlimited" {
		v := ^uint64(0)
		return &v
	}
	if !d.want(n, `an integer or "unlimited"`, unstable.Integer) {
		return nil
	}
	v, err := strconv.ParseUint(strings.ReplaceAll(n.text, "_", ""), 0, 63)
	if err != nil {
		d.fail(n.at, "%s is not a limit: a number from 0, or \"unlimited\"", n.text)
		return nil
	}
	return &v
}
