package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// decoder turns the tree of one document into values. A wrong value is an error
// at its place, and the reading goes on.
type decoder struct{ mistakes }

// table reads a table by its rows. prefix is its path below a service, as
// "restart.backoff"; seen, if there is a service, takes what was found.
func (d *decoder) table(rows []row, t target, n *node, prefix string, seen *seen) {
	for _, name := range n.names {
		e := n.keys[name]
		at := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
		if at < 0 {
			if meant := d.unknown(name, prefix, rows, e); meant != "" {
				seen.refuse(joinKey(prefix, meant))
			}
			continue
		}
		r, key, before := rows[at], joinKey(prefix, name), d.count
		seen.add(key, e.value.at)
		switch {
		case r.open != nil:
			d.tables(r, t, e.value, key)
		case r.sub != nil && d.isTable(e.value, key):
			d.table(r.sub, t, e.value, key, seen)
		case r.sub == nil:
			r.set(d, &t, e.value)
		}
		if d.count > before {
			seen.refuse(key)
		}
	}
}

// maxTables bounds an array of tables.
const maxTables = 64

// tables reads an array of tables, written as [[headers]] or inline.
func (d *decoder) tables(r row, t target, n *node, key string) {
	if n.kind != unstable.ArrayTable && n.kind != unstable.Array {
		d.fail(n.at, "%s must be an array of tables ([[service.NAME.%s]]), not %s", key, key, kindName(n.kind))
		return
	}
	for i, item := range n.items {
		if i == maxTables {
			d.fail(item.at, "there are more than %d tables %q", maxTables, key)
			return
		}
		if d.isTable(item, key) {
			of := newSeen(item.at)
			d.table(r.sub, r.open(t, of), item, key, of)
		}
	}
}

func joinKey(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// unknown names the table in which such a key belongs, or the nearest key of
// this one, which it returns.
func (d *decoder) unknown(name, prefix string, rows []row, e *entry) (meant string) {
	if d.full() {
		d.count++
		return ""
	}
	if where := elsewhere(name, prefix); where != "" {
		d.fail(e.at, "unknown key %q; there is one in %s", name, where)
		return ""
	}
	var names []string
	for _, r := range rows {
		names = append(names, r.name)
	}
	meant = nearest(name, names)
	d.fail(e.at, "unknown key %q%s", name, didYouMean(meant))
	return meant
}

// elsewhere finds the table, other than prefix, that has a key of exactly that
// name.
func elsewhere(name, prefix string) (found string) {
	var walk func(rows []row, path, words string)
	walk = func(rows []row, path, words string) {
		for _, r := range rows {
			if r.name == name && path != prefix && found == "" {
				found = words
			}
			sub := joinKey(path, r.name)
			walk(r.sub, sub, fmt.Sprintf("the table %q of a service", sub))
		}
	}
	walk(serviceRows(), "", "the table of a service")
	walk(incidentRows(), "incidents", "the table \"incidents\"")
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
	if len(n.names) == 0 {
		return nil // as if there were none
	}
	out := make(map[string]string, len(n.names))
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

func (d *decoder) integers(n *node, low, high int64) []int {
	if !d.want(n, "an array of integers", unstable.Array) {
		return nil
	}
	out := make([]int, 0, len(n.items))
	for _, item := range n.items {
		out = append(out, d.integer(item, low, high))
	}
	return out
}

// texts is a table of strings with names of any kind.
func (d *decoder) texts(n *node) map[string]string {
	if !d.want(n, "a table of strings", unstable.Table) || len(n.names) == 0 {
		return nil
	}
	out := make(map[string]string, len(n.names))
	for _, name := range n.names {
		out[name] = d.text(n.keys[name].value)
	}
	return out
}

// patterns is a table of regular expressions.
func (d *decoder) patterns(n *node) map[string]string {
	if !d.want(n, "a table of strings", unstable.Table) || len(n.names) == 0 {
		return nil
	}
	out := make(map[string]string, len(n.names))
	for _, name := range n.names {
		out[name] = d.pattern(n.keys[name].value)
	}
	return out
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
		d.fail(n.at, "size %q is not from %s to %s", n.text, sizeWords(low), sizeWords(high))
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

func (d *decoder) share(n *node) float64 {
	if !d.want(n, `a share in quotes, like "5%"`, unstable.String) {
		return 0
	}
	v, err := ParseShare(n.text)
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

func (d *decoder) oneOf(n *node, words []string) string {
	v := d.text(n)
	if n.kind == unstable.String && !slices.Contains(words, v) {
		d.fail(n.at, "%q is not one of %s%s", v, strings.Join(words, ", "), suggest(v, words))
	}
	return v
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
