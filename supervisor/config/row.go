package config

import (
	"strings"
	"syscall"
	"time"
)

// row is one key of the configuration: what it is called, what it takes, what
// it means, and where its value goes. The reference, the schema and the
// suggestions for misspelt keys are made from these rows too.
type row struct {
	name  string
	takes kind
	def   string   // the default as TOML; "" when there is none
	unset string   // without a default: what holds then, in words
	low   int64    // of a number; of a duration in ns; of a size in bytes
	high  int64    // 0: no bound of its own
	enum  []string // of a string: all that it may be
	doc   string
	sub   []row                                // of a table, or of each table of an array
	open  func(t target, s *seen) target       // of an array of tables: adds one with its defaults
	set   func(d *decoder, t *target, n *node) // nil for a table
}

// kind is what a key takes, as the reference names it.
type kind string

const (
	takesString   kind = "string"
	takesStrings  kind = "array of strings"
	takesTable    kind = "table"
	takesTables   kind = "array of tables"
	takesText     kind = "table of strings"
	takesBool     kind = "boolean"
	takesInteger  kind = "integer"
	takesIntegers kind = "array of integers"
	takesNumber   kind = "number"
	takesDuration kind = "duration"
	takesSize     kind = "size"
	takesSignal   kind = "signal"
	takesSignals  kind = "array of signals"
	takesLimit    kind = "integer or \"unlimited\""
	takesUmask    kind = "octal string"
	takesFree     kind = "share or size"
	takesShare    kind = "share"
)

// target is what a row's value goes into.
type target struct {
	service   *Service
	incidents *Incidents
	thread    *Thread
	probe     *Probe
	output    *OutputPattern
}

// leaf makes a row whose value is read by read and put into field. A value that
// was refused leaves the default.
func leaf[T any](r row, field func(*target) *T, read func(*decoder, row, *node) T) row {
	r.set = func(d *decoder, t *target, n *node) {
		before := d.count
		if v := read(d, r, n); d.count == before {
			*field(t) = v
		}
	}
	return r
}

func textRow(name, unset, doc string, field func(*target) *string) row {
	return leaf(row{name: name, takes: takesString, unset: unset, doc: doc}, field,
		func(d *decoder, _ row, n *node) string { return d.text(n) })
}

func listRow(name, unset, doc string, field func(*target) *[]string) row {
	return leaf(row{name: name, takes: takesStrings, unset: unset, doc: doc}, field,
		func(d *decoder, _ row, n *node) []string { return d.strings(n) })
}

// choiceRow takes one of a few words. The first is the default.
func choiceRow(name, doc string, field func(*target) *string, words ...string) row {
	return leaf(row{name: name, takes: takesString, def: `"` + words[0] + `"`, enum: words, doc: doc}, field,
		func(d *decoder, r row, n *node) string { return d.oneOf(n, r.enum) })
}

func boolRow(name, def, doc string, field func(*target) *bool) row {
	return leaf(row{name: name, takes: takesBool, def: def, doc: doc}, field,
		func(d *decoder, _ row, n *node) bool { return d.boolean(n) })
}

func intRow(name, def, doc string, low, high int64, field func(*target) *int) row {
	return leaf(row{name: name, takes: takesInteger, def: def, low: low, high: high, doc: doc}, field,
		func(d *decoder, r row, n *node) int { return d.integer(n, r.low, r.high) })
}

// optionalRow takes an integer that may be absent.
func optionalRow(name, unset, doc string, low, high int64, field func(*target) **int) row {
	return leaf(row{name: name, takes: takesInteger, unset: unset, low: low, high: high, doc: doc}, field,
		func(d *decoder, r row, n *node) *int { v := d.integer(n, r.low, r.high); return &v })
}

func numberRow(name, def, doc string, low, high int64, field func(*target) *float64) row {
	return leaf(row{name: name, takes: takesNumber, def: def, low: low, high: high, doc: doc}, field,
		func(d *decoder, r row, n *node) float64 { return d.number(n, float64(r.low), float64(r.high)) })
}

// durationRow takes low to MaxDuration.
func durationRow(name, def, doc string, low time.Duration, field func(*target) *time.Duration) row {
	return leaf(row{name: name, takes: takesDuration, def: def, low: int64(low), doc: doc}, field,
		func(d *decoder, r row, n *node) time.Duration { return d.duration(n, time.Duration(r.low)) })
}

func sizeRow(name, def, doc string, low, high int64, field func(*target) *int64) row {
	return leaf(row{name: name, takes: takesSize, def: def, low: low, high: high, doc: doc}, field,
		func(d *decoder, r row, n *node) int64 { return d.size(n, r.low, r.high) })
}

func signalRow(name, def, doc string, field func(*target) *syscall.Signal) row {
	return leaf(row{name: name, takes: takesSignal, def: def, doc: doc}, field,
		func(d *decoder, _ row, n *node) syscall.Signal { return d.signal(n) })
}

func tableRow(name, doc string, sub []row) row {
	return row{name: name, takes: takesTable, doc: doc, sub: sub}
}

// tablesRow takes an array of tables, as [[service.NAME.thread]].
func tablesRow(name, doc string, sub []row, open func(t target, s *seen) target) row {
	return row{name: name, takes: takesTables, doc: doc, sub: sub, open: open}
}

// withUnset says in words what holds when a key is absent.
func (r row) withUnset(words string) row {
	r.unset = words
	return r
}

// limitRow is one resource limit, which is inherited when it is absent.
func limitRow(name string, field func(*Limits) **uint64) row {
	return leaf(row{name: name, takes: takesLimit, unset: "inherited", doc: "RLIMIT_" + strings.ToUpper(name) + "."},
		func(t *target) **uint64 { return field(&t.service.Limits) },
		func(d *decoder, _ row, n *node) *uint64 { return d.limit(n) })
}
