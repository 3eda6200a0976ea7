package api

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/snapshot"
)

var update = flag.Bool("update", false, "write the types of the pages anew")

const typesFile = "../web/src/api.ts"

// TestTypeScript: the pages know the same types. Their file is written from them:
// go test ./browser/api -update.
func TestTypeScript(t *testing.T) {
	ts := typeScript{names: map[reflect.Type]string{}, taken: map[string]reflect.Type{}}
	for _, v := range []any{
		Login{}, About{}, Error{}, Issues{}, Occurrences{}, Incident{}, Stacks{}, GroupDetail{}, SourceText{}, Waits{}, Flame{}, Timeline{},
		Output{}, ProcessView{}, Compare{}, Normal{}, Now{}, Live{},
		snapshot.Process{}, snapshot.World{}, snapshot.Tree{}, snapshot.RuntimeReport{},
		control.Ask{}, control.Result{}, control.Snapshot{}, control.SnapshotResult{}, control.Demanded{},
	} {
		ts.name(reflect.TypeOf(v))
	}
	want := ts.text()
	if *update {
		if err := os.WriteFile(typesFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(typesFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the types say: run go test ./browser/api -update", typesFile)
	}
}

// typeScript writes interfaces for structs as encoding/json encodes them.
type typeScript struct {
	names map[reflect.Type]string
	taken map[string]reflect.Type
	order []reflect.Type
}

// name returns the name of a struct's interface; a second struct of the same name
// has its package's before it.
func (ts *typeScript) name(t reflect.Type) string {
	if n, ok := ts.names[t]; ok {
		return n
	}
	n := t.Name()
	if _, ok := ts.taken[n]; ok {
		pkg := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]
		n = strings.ToUpper(pkg[:1]) + pkg[1:] + n
	}
	ts.names[t], ts.taken[n] = n, t
	ts.order = append(ts.order, t)
	for _, f := range fieldsOf(t) {
		ts.of(f.typ)
	}
	return n
}

type field struct {
	name     string
	typ      reflect.Type
	optional bool
}

// fieldsOf lists what is encoded of a struct, embedded ones flattened.
func fieldsOf(t reflect.Type) (fields []field) {
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous && name == "":
			fields = append(fields, fieldsOf(f.Type)...)
			continue
		case !f.IsExported() || tag == "-":
			continue
		case name == "":
			name = f.Name
		}
		fields = append(fields, field{name, f.Type, strings.Contains(options, "omit")})
	}
	return fields
}

func (ts *typeScript) of(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "string"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "string"
	}
	switch t.Kind() {
	case reflect.Struct:
		if t.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()) {
			return "string"
		}
		return ts.name(t)
	case reflect.Pointer:
		return ts.of(t.Elem()) + " | null"
	case reflect.Slice, reflect.Array:
		inner := ts.of(t.Elem())
		if strings.Contains(inner, " ") {
			inner = "(" + inner + ")"
		}
		return inner + "[]"
	case reflect.Map:
		return fmt.Sprintf("{ [key: string]: %s }", ts.of(t.Elem()))
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Interface:
		return "unknown"
	default:
		if t.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()) {
			return "string"
		}
		return "number"
	}
}

func (ts *typeScript) text() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "// Written by go test ./browser/api -update from the types of the API. Lists that are empty may be null.")
	for i := 0; i < len(ts.order); i++ {
		t := ts.order[i]
		fmt.Fprintf(&b, "\nexport interface %s {\n", ts.names[t])
		for _, f := range fieldsOf(t) {
			mark, typ := "", ts.of(f.typ)
			if f.optional {
				mark, typ = "?", strings.TrimSuffix(typ, " | null")
			} else if f.typ.Kind() == reflect.Slice && typ != "string" {
				typ += " | null"
			}
			fmt.Fprintf(&b, "  %s%s: %s;\n", f.name, mark, typ)
		}
		fmt.Fprintln(&b, "}")
	}
	return b.Bytes()
}
