package browser

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/browser/view"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of a list.
const (
	sparkParts = 24
	maxNames   = 20
	searchTime = 2 * time.Second // of a search in stacks, which must be read for it
)

// filter chooses incidents.
type filter struct {
	service, cause, version, source, text string
	since, until                          time.Time
}

func filterOf(r *http.Request) (f filter, err error) {
	f = filter{service: r.FormValue("service"), cause: r.FormValue("cause"), version: r.FormValue("version"), source: r.FormValue("source"), text: r.FormValue("q")}
	if len(f.text) > maxText {
		return f, badRequest("q is longer than %d bytes", maxText)
	}
	if f.cause != "" {
		if _, err := snapshot.ParseCause(f.cause); err != nil {
			return f, badRequest("%v", err)
		}
	}
	if f.since, err = moment(r, "since"); err == nil {
		f.until, err = moment(r, "until")
	}
	return f, err
}

func (f *filter) matches(e *entry) bool {
	return (f.service == "" || f.service == e.Service) && (f.cause == "" || f.cause == string(e.Cause)) &&
		(f.version == "" || f.version == view.Version(&e.Incident)) && (f.source == "" || f.source == e.source.Name) &&
		(f.since.IsZero() || !e.Time.Before(f.since)) && (f.until.IsZero() || e.Time.Before(f.until))
}

// choose filters, and looks for a text: first in what the manifests say, then in
// stacks for as long as a search may take.
func (f *filter) choose(all []*entry) (list []*entry, stopped string) {
	want := strings.ToLower(f.text)
	end := time.Now().Add(searchTime)
	found := map[string]bool{} // stacks of a fingerprint are alike: one that has the text stands for all
	for n, e := range all {
		if !f.matches(e) {
			continue
		}
		if want == "" || found[e.Fingerprint] || inManifest(e, want) {
			list = append(list, e)
			continue
		}
		if stopped != "" {
			continue
		}
		if time.Now().After(end) {
			stopped = fmt.Sprintf("The stacks of the newest %d incidents were searched, of the others only what the list shows.", n)
			continue
		}
		var st snapshot.Stacks
		if e.source.Reader.Read(e.ID, snapshot.FileStacks, &st) == nil && view.Matches(&st, f.text) {
			list = append(list, e)
			if e.Fingerprint != "" {
				found[e.Fingerprint] = true
			}
		}
	}
	return list, stopped
}

func inManifest(e *entry, want string) bool {
	for _, t := range []string{e.ID, e.Sentence, e.Service, string(e.Cause), e.Host, e.Fingerprint, strings.Join(e.Command, " ")} {
		if strings.Contains(strings.ToLower(t), want) {
			return true
		}
	}
	return e.Card != nil && strings.Contains(strings.ToLower(e.Card.Sentence), want)
}

// issues answers GET incidents.
func (s *Server) issues(w http.ResponseWriter, r *http.Request) {
	f, err := filterOf(r)
	if err != nil {
		failWith(w, err)
		return
	}
	offset, limit, err := paging(r)
	if err != nil {
		failWith(w, err)
		return
	}
	all, problems := s.index.all()
	out := api.Issues{Issues: []api.Issue{}, Problems: append([]string{}, problems...), Facets: facets(all)}
	list, stopped := f.choose(all)
	out.Stopped, out.Seen = stopped, len(list)
	grouped := group(list)
	out.Total = len(grouped)
	for _, g := range part(grouped, offset, limit) {
		out.Issues = append(out.Issues, issue(g, all))
	}
	reply(w, out)
}

// occurrences answers GET occurrences.
func (s *Server) occurrences(w http.ResponseWriter, r *http.Request) {
	f, err := filterOf(r)
	if err != nil {
		failWith(w, err)
		return
	}
	offset, limit, err := paging(r)
	if err != nil {
		failWith(w, err)
		return
	}
	all, _ := s.index.all()
	list, _ := f.choose(all)
	if fp := r.FormValue("fingerprint"); fp != "" {
		list = slices.DeleteFunc(list, func(e *entry) bool { return e.Fingerprint != fp })
	}
	out := api.Occurrences{Total: len(list), Occurrences: []api.Occurrence{}}
	for _, e := range part(list, offset, limit) {
		out.Occurrences = append(out.Occurrences, occurrence(e))
	}
	reply(w, out)
}

// part is one page of a list.
func part[T any](list []T, offset, limit int) []T {
	if limit <= 0 || limit > api.MaxIssues {
		limit = api.MaxIssues
	}
	from := min(offset, len(list))
	return list[from:min(from+limit, len(list))]
}

// group puts incidents of one fingerprint of one service together; the group
// with the newest is first.
func group(list []*entry) [][]*entry {
	at := map[[2]string]int{}
	var out [][]*entry
	for _, e := range list {
		key := [2]string{e.Service, e.Fingerprint}
		if e.Fingerprint == "" {
			key[1] = "\x00" + e.ID
		}
		n, ok := at[key]
		if !ok {
			n = len(out)
			at[key] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], e)
	}
	return out
}

func issue(g []*entry, all []*entry) api.Issue {
	newest := g[0]
	out := api.Issue{
		Fingerprint: newest.Fingerprint, Count: len(g), First: g[len(g)-1].Time, Last: newest.Time, Cause: newest.Cause, Sentence: newest.Sentence,
		Services: []string{}, Hosts: []string{}, Versions: []string{}, Newest: occurrence(newest), Spark: make([]int, sparkParts),
	}
	if newest.Card != nil {
		out.Confidence = newest.Card.Confidence
	}
	begin, length := all[len(all)-1].Time, all[0].Time.Sub(all[len(all)-1].Time)
	for _, e := range g {
		add(&out.Services, e.Service)
		add(&out.Hosts, e.Host)
		add(&out.Versions, view.Version(&e.Incident))
		out.Pinned = out.Pinned || e.pinned
		at := sparkParts - 1
		if length > 0 {
			at = min(max(int(float64(sparkParts)*float64(e.Time.Sub(begin))/float64(length)), 0), sparkParts-1)
		}
		out.Spark[at]++
	}
	return out
}

func add(list *[]string, value string) {
	if value != "" && len(*list) < maxNames && !slices.Contains(*list, value) {
		*list = append(*list, value)
	}
}

// facets counts the values that can be filtered by.
func facets(all []*entry) api.Facets {
	services, causes, versions, sources := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for _, e := range all {
		services[e.Service]++
		causes[string(e.Cause)]++
		sources[e.source.Name]++
		if v := view.Version(&e.Incident); v != "" {
			versions[v]++
		}
	}
	return api.Facets{Services: sorted(services), Causes: sorted(causes), Versions: sorted(versions), Sources: sorted(sources)}
}

const maxFacets = 200

func sorted(counts map[string]int) []api.Facet {
	list := []api.Facet{}
	for v, n := range counts {
		list = append(list, api.Facet{Value: v, Count: n})
	}
	slices.SortFunc(list, func(a, b api.Facet) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	})
	return list[:min(len(list), maxFacets)]
}
