package golang

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-delve/delve/service/api"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// tidy makes a value fit to be shown, all the way down: the values of fields and
// map entries whose names look secret become the mask, and the rest around them
// stays; passwords in URLs are masked; durations read as such.
func tidy(v *api.Variable) {
	v.Unreadable = unreadable(v.Unreadable)
	switch {
	case v.Kind == reflect.String:
		masked, _ := snapshot.MaskText(v.Value)
		v.Len += int64(len(masked) - len(v.Value)) // else it would read as cut
		v.Value = masked
	case isInteger(v.Kind):
		v.Value = integer(v.Type, v.Value)
	}
	for i := range v.Children {
		c := &v.Children[i]
		name := c.Name
		if v.Kind == reflect.Map && i%2 == 1 {
			name = keyText(v.Children[i-1])
		}
		if snapshot.LooksSecret(name) {
			// The mask as a number stands without quotes.
			*c = api.Variable{Name: c.Name, Kind: reflect.Int, Value: snapshot.Mask}
			continue
		}
		tidy(c)
	}
}

// keyText is a key of a map as a name.
func keyText(key api.Variable) string {
	text := key.SinglelineString()
	if key.Kind == reflect.Interface {
		// string "name"
		_, text, _ = strings.Cut(text, " ")
	}
	return strings.Trim(text, `"`)
}

func isInteger(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Uintptr }

// integer writes a number of a named type. Delve puts the name of a constant
// with that value before it, also when the constant has nothing to do with it:
// any package may declare one of type time.Duration. Only a constant of the
// type's own package is believed.
func integer(typ, value string) string {
	number := api.ExtractIntValue(value)
	if typ == "time.Duration" {
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			return time.Duration(n).String()
		}
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(value, " ("+number+")"), "|") {
		if packageOf(strings.TrimSpace(name)) != packageOf(typ) {
			return number
		}
	}
	return value
}

// packageOf is what stands before the last dot: "net/http" of "net/http.ConnState".
func packageOf(name string) string { return name[:max(0, strings.LastIndexByte(name, '.'))] }
