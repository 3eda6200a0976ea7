package export

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Share removes from an incident what somebody outside must not see, and says
// what it removed, in sentences: variables altogether, environment values, the
// host's name, and addresses other than those of this machine itself, wherever
// they stand. Names in the place of an address are the same for the same
// address. more are further values, by pointers, that are cleaned as well.
func Share(i *snapshot.Incident, s *snapshot.Stacks, p *snapshot.Process, more ...any) (removed []string) {
	h := hider{names: map[string]string{}, host: i.Host}
	variables := 0
	drop := func(frames []snapshot.Frame) {
		for f := range frames {
			variables += len(frames[f].Arguments) + len(frames[f].Locals)
			frames[f].Arguments, frames[f].Locals = nil, nil
		}
	}
	if s != nil {
		for g := range s.Groups {
			drop(s.Groups[g].Frames)
		}
		for t := range s.Threads {
			drop(s.Threads[t].Frames)
		}
	}
	if p != nil {
		for t := range p.Threads {
			drop(p.Threads[t].Frames)
		}
		for n, e := range p.Environment {
			name, _, ok := strings.Cut(e, "=")
			if !ok {
				name = ""
			}
			p.Environment[n] = name + "=" + snapshot.Mask
		}
		if len(p.Environment) > 0 {
			removed = append(removed, fmt.Sprintf("the values of %d environment variables", len(p.Environment)))
		}
	}
	if variables > 0 {
		removed = append(removed, fmt.Sprintf("%d arguments and local variables", variables))
	}
	for _, v := range append([]any{i, s, p}, more...) {
		h.clean(reflect.ValueOf(v))
	}
	if i.Host != "" {
		i.Host = "host"
		removed = append(removed, "the name of the host")
	}
	if n := len(h.names); n > 0 {
		removed = append(removed, fmt.Sprintf("%d network addresses, which have names now", n))
	}
	sort.Strings(removed)
	return removed
}

// hider gives addresses other names.
type hider struct {
	host  string
	names map[string]string
}

// clean goes through every text of a value, so that no field is forgotten.
func (h *hider) clean(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			h.clean(v.Elem())
		}
	case reflect.Struct:
		for n := range v.NumField() {
			if v.Type().Field(n).IsExported() {
				h.clean(v.Field(n))
			}
		}
	case reflect.Slice, reflect.Array:
		for n := range v.Len() {
			h.clean(v.Index(n))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if e := v.MapIndex(key); e.Kind() == reflect.String {
				v.SetMapIndex(key, reflect.ValueOf(h.text(e.String())).Convert(e.Type()))
			}
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(h.text(v.String()))
		}
	}
}

// looksLikeAddress finds what might be an address of IPv4 or IPv6.
var looksLikeAddress = regexp.MustCompile(`[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}`)

func (h *hider) text(t string) string {
	if len(h.host) > 2 {
		t = strings.ReplaceAll(t, h.host, "host")
	}
	return looksLikeAddress.ReplaceAllStringFunc(t, func(found string) string {
		a, err := netip.ParseAddr(found)
		if err != nil || a.IsLoopback() || a.IsUnspecified() {
			return found
		}
		if _, ok := h.names[found]; !ok {
			h.names[found] = "address-" + strconv.Itoa(len(h.names)+1)
		}
		return h.names[found]
	})
}
