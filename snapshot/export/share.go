package export

import (
	"fmt"
	"net/netip"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Share removes from an incident what somebody outside must not see, and says
// what it removed, in sentences: variables altogether, environment values, the
// host's name, and addresses other than those of this machine itself. Names in
// the place of an address are the same for the same address.
func Share(i *snapshot.Incident, s *snapshot.Stacks, p *snapshot.Process) (removed []string) {
	h := hider{names: map[string]string{}, host: i.Host}
	variables := 0
	if s != nil {
		for g := range s.Groups {
			group := &s.Groups[g]
			for f := range group.Frames {
				frame := &group.Frames[f]
				variables += len(frame.Arguments) + len(frame.Locals)
				frame.Arguments, frame.Locals = nil, nil
			}
			for l, label := range group.Labels {
				group.Labels[l] = h.text(label)
			}
			for m := range group.Members {
				group.Members[m].Name = h.text(group.Members[m].Name)
			}
		}
	}
	if variables > 0 {
		removed = append(removed, fmt.Sprintf("%d arguments and local variables", variables))
	}
	if p != nil {
		for n, e := range p.Environment {
			if name, _, ok := strings.Cut(e, "="); ok {
				p.Environment[n] = name + "=" + snapshot.Mask
			}
		}
		if len(p.Environment) > 0 {
			removed = append(removed, fmt.Sprintf("the values of %d environment variables", len(p.Environment)))
		}
		h.list(p.Command)
		for n := range p.FDs {
			p.FDs[n].Target = h.text(p.FDs[n].Target)
		}
	}
	h.list(i.Command)
	h.list(i.Missing)
	i.Sentence = h.text(i.Sentence)
	for n := range i.Ran {
		i.Ran[n].Reason = h.text(i.Ran[n].Reason)
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

func (h *hider) list(texts []string) {
	for i, t := range texts {
		texts[i] = h.text(t)
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
