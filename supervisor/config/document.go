package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// MaxFileSize is the largest configuration file that is read, in bytes.
const MaxFileSize = 4 << 20

// maxBrackets bounds the opening brackets of a file, and with them how deeply
// values are nested: the parser recurses, and Go ends the process when a stack
// is beyond 1 GB.
const maxBrackets = 1 << 17

// place is a byte offset in a document.
type place struct {
	doc    *document
	offset int
}

func (p place) error(format string, args ...any) Error {
	e := Error{Message: fmt.Sprintf(format, args...)}
	if p.doc == nil {
		e.File = "command line"
		return e
	}
	e.File = p.doc.file
	e.Line, e.Column = p.doc.position(p.offset)
	return e
}

// String returns "file:line".
func (p place) String() string {
	if p.doc == nil {
		return "command line"
	}
	line, _ := p.doc.position(p.offset)
	return fmt.Sprintf("%s:%d", p.doc.file, line)
}

// node is a value of a TOML document with its place.
type node struct {
	kind  unstable.Kind // Table and ArrayTable stand for inline ones too
	at    place
	text  string   // of a scalar: the string's value, or the digits as written
	items []*node  // of an array, or of an array of tables
	names []string // of a table: its keys as they came
	keys  map[string]*entry

	header bool // a table that has had its own [header]
	dotted bool // a table made by a dotted key
	closed bool // an inline table: nothing may be added from outside
}

type entry struct {
	at    place // of the key
	value *node
}

// document is one file as a tree.
type document struct {
	file string
	data []byte
	root *node

	mistakes
	broken bool // it is read up to a mistake of syntax
}

// parseDocument reads TOML. Errors of syntax end the reading, so there is at
// most one of them; keys that are defined twice are collected too.
func parseDocument(file string, data []byte) *document {
	// The parser finds positions by capacities, so the slice must end with the data.
	d := &document{file: file, data: data[:len(data):len(data)]}
	d.root = d.table(place{d, 0})
	if bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxBrackets {
		d.broken = true
		d.mistakes.count, d.errs = 1, Errors{{File: file, Message: fmt.Sprintf("cannot read it: it has more than %d brackets", maxBrackets)}}
		return d
	}
	var p unstable.Parser
	p.Reset(d.data)
	current := d.root
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.KeyValue:
			d.keyValue(current, e)
		case unstable.Table, unstable.ArrayTable:
			current = d.header(e)
		}
	}
	if err := p.Error(); err != nil {
		d.syntax(err)
	}
	return d
}

func (d *document) syntax(err error) {
	offset := len(d.data)
	var perr *unstable.ParserError
	if errors.As(err, &perr) {
		offset = len(d.data) - cap(perr.Highlight)
	}
	d.broken = true
	d.fail(place{d, offset}, "%s", strings.TrimPrefix(err.Error(), "toml: "))
}

// position returns line and column, from 1, of an offset; the last byte's for
// one behind the end.
func (d *document) position(offset int) (line, column int) {
	offset = max(0, min(offset, len(d.data)-1))
	before := d.data[:offset]
	line = 1 + bytes.Count(before, []byte{'\n'})
	return line, 1 + utf8.RuneCount(before[1+bytes.LastIndexByte(before, '\n'):])
}

func (d *document) table(at place) *node {
	return &node{kind: unstable.Table, at: at, keys: map[string]*entry{}}
}

func (d *document) key(n *unstable.Node) (string, place) {
	return strings.ToValidUTF8(string(n.Data), "?"), place{d, int(n.Raw.Offset)}
}

func (n *node) add(name string, at place, value *node) {
	n.names = append(n.names, name)
	n.keys[name] = &entry{at, value}
}

// header returns the table that a [header] or [[header]] opens. After a
// mistake it is one outside the tree, so that what follows is still read.
func (d *document) header(e *unstable.Node) *node {
	table, it := d.root, e.Key()
	for it.Next() {
		name, at := d.key(it.Node())
		old := table.keys[name]
		if !it.IsLast() {
			next, ok := d.into(table, name, at, false)
			if !ok {
				return d.table(at)
			}
			table = next
			continue
		}
		switch {
		case e.Kind == unstable.ArrayTable && old == nil:
			item := d.table(at)
			table.add(name, at, &node{kind: unstable.ArrayTable, at: at, items: []*node{item}})
			return item
		case e.Kind == unstable.ArrayTable && old.value.kind == unstable.ArrayTable:
			item := d.table(at)
			old.value.items = append(old.value.items, item)
			return item
		case old == nil:
			made := d.table(at)
			made.header = true
			table.add(name, at, made)
			return made
		case e.Kind == unstable.Table && old.value.kind == unstable.Table &&
			!old.value.header && !old.value.dotted && !old.value.closed:
			old.value.header = true
			return old.value
		}
		d.twice(name, at, old)
		return d.table(at)
	}
	return table
}

// into steps down to a table inside table, making it if need be.
func (d *document) into(table *node, name string, at place, dotted bool) (*node, bool) {
	old := table.keys[name]
	if old == nil {
		made := d.table(at)
		made.dotted = dotted
		table.add(name, at, made)
		return made, true
	}
	v := old.value
	switch {
	case v.kind == unstable.ArrayTable && !dotted:
		return v.items[len(v.items)-1], true
	case v.kind == unstable.Table && !v.closed && (!dotted || v.dotted):
		return v, true
	}
	d.twice(name, at, old)
	return nil, false
}

func (d *document) twice(name string, at place, old *entry) {
	if d.full() {
		d.count++
		return
	}
	d.fail(at, "key %q is already defined at %s", name, old.at)
}

func (d *document) keyValue(table *node, e *unstable.Node) {
	it := e.Key()
	for it.Next() {
		name, at := d.key(it.Node())
		if !it.IsLast() {
			next, ok := d.into(table, name, at, true)
			if !ok {
				return
			}
			table = next
			continue
		}
		if old := table.keys[name]; old != nil {
			d.twice(name, at, old)
			return
		}
		table.add(name, at, d.value(e.Value(), at))
	}
}

// value copies a value out of the parser. Arrays have no place of their own
// there, so they get that of their key.
func (d *document) value(v *unstable.Node, at place) *node {
	if v.Raw.Length > 0 {
		at = place{d, int(v.Raw.Offset)}
	}
	switch v.Kind {
	case unstable.InlineTable:
		n := d.table(at)
		for it := v.Children(); it.Next(); {
			d.keyValue(n, it.Node())
		}
		n.closed = true
		return n
	case unstable.Array:
		n := &node{kind: v.Kind, at: at}
		for it := v.Children(); it.Next(); {
			n.items = append(n.items, d.value(it.Node(), at))
		}
		return n
	}
	return &node{kind: v.Kind, at: at, text: string(v.Data)}
}
