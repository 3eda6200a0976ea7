package browser

import (
	"math"
	"net/http"
	"strconv"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/browser/view"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
)

// incidentRoutes are those of one incident.
func (s *Server) incidentRoutes(on func(method, pattern string, h http.HandlerFunc)) {
	get := func(pattern string, answer func(c *incidentCase, r *http.Request) (any, error)) {
		on("GET", "incidents/{id}"+pattern, func(w http.ResponseWriter, r *http.Request) {
			c, err := s.open(r.PathValue("id"))
			if err != nil {
				failWith(w, err)
				return
			}
			v, err := answer(c, r)
			if err != nil {
				failWith(w, err)
				return
			}
			reply(w, v)
		})
	}
	get("", func(c *incidentCase, _ *http.Request) (any, error) { return s.incident(c), nil })
	get("/stacks", func(c *incidentCase, r *http.Request) (any, error) {
		q, err := stacksQuery(r)
		if err != nil {
			return nil, err
		}
		return view.Stacks(c.full.Stacks, q, s.context(c)), nil
	})
	get("/groups/{index}", func(c *incidentCase, r *http.Request) (any, error) {
		index, err := strconv.Atoi(r.PathValue("index"))
		if err != nil {
			return nil, badRequest("a group has a number, not %q", cut(r.PathValue("index")))
		}
		d, ok := view.Detail(c.full.Stacks, c.full.Process, index, s.context(c))
		if !ok {
			return nil, badRequest("there is no group %d", index)
		}
		return d, nil
	})
	get("/groups/{index}/source", source)
	get("/waits", func(c *incidentCase, _ *http.Request) (any, error) { return view.Waits(c.full.Stacks), nil })
	get("/flame", func(c *incidentCase, r *http.Request) (any, error) {
		return view.Flame(c.full.Stacks, r.FormValue("idle") == "1"), nil
	})
	get("/timeline", func(c *incidentCase, _ *http.Request) (any, error) {
		return view.Timeline(&c.full.Incident, c.full.Timeline, c.samples, c.full.Output), nil
	})
	get("/process", func(c *incidentCase, _ *http.Request) (any, error) {
		if c.full.Process == nil {
			return orNone(c.full.Process, "process")
		}
		return view.Process(c.full.Process, c.suspect, c.world), nil
	})
	get("/world", func(c *incidentCase, _ *http.Request) (any, error) { return orNone(c.world, "world") })
	get("/tree", func(c *incidentCase, _ *http.Request) (any, error) { return orNone(c.tree, "tree") })
	get("/runtime", func(c *incidentCase, _ *http.Request) (any, error) { return orNone(c.runtime, "runtime") })
	get("/output", func(c *incidentCase, r *http.Request) (any, error) {
		offset, limit, err := paging(r)
		if err != nil {
			return nil, err
		}
		q := view.OutputQuery{Text: r.FormValue("q"), Offset: offset, Limit: limit}
		if q.From, err = secondsOf(r, "from"); err == nil {
			q.To, err = secondsOf(r, "to")
		}
		if err != nil {
			return nil, err
		}
		return view.Output(c.full.Output, c.full.Incident.Time, q), nil
	})
	get("/compare", func(c *incidentCase, r *http.Request) (any, error) { return s.compare(c, r.FormValue("with")) })
	on("GET", "incidents/{id}/export", s.export)
}

// secondsOf is a time from the verdict; nil when none is given.
func secondsOf(r *http.Request, name string) (*float64, error) {
	text := r.FormValue(name)
	if text == "" {
		return nil, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) {
		return nil, badRequest("%s is in seconds from the verdict, not %q", name, cut(text))
	}
	return &v, nil
}

// context is what the views know of an incident beyond its stacks.
func (s *Server) context(c *incidentCase) view.Context {
	return view.Context{Normal: s.normal.of(c.full.Incident.Service), Link: linkOf(&c.full.Incident), Card: c.full.Incident.Card}
}

// incident is the first view.
func (s *Server) incident(c *incidentCase) api.Incident {
	i := c.full.Incident
	out := api.Incident{
		Incident: i, Source: c.entry.source.Name, Pinned: c.entry.pinned, Badges: view.Badges(&i), Problems: append([]string{}, c.full.Problems...),
		Banners: banners(c), Deadlocks: []string{}, Revision: revisionLink(&i),
	}
	out.Directory, _ = c.entry.source.Reader.Dir(i.ID) // for display
	if st := c.full.Stacks; st != nil {
		for _, d := range st.Deadlocks {
			out.Deadlocks = append(out.Deadlocks, analyze.Deadlock(*st, d))
		}
		out.Finding = analyze.Finding(*st)
	}
	out.Captures = c.suspect != nil && c.full.Process != nil
	all, _ := s.index.all()
	found := false
	for _, e := range all { // newest first
		if i.Fingerprint == "" || e.Fingerprint != i.Fingerprint || e.Service != i.Service {
			continue
		}
		out.Same++
		switch {
		case e.ID == i.ID:
			found = true
		case !found:
			out.Newer = e.ID
		case out.Older == "":
			out.Older = e.ID
		}
	}
	return out
}

// banners are what a reader must know before anything else.
func banners(c *incidentCase) []string {
	i, list := &c.full.Incident, []string{}
	switch i.Status {
	case snapshot.StatusWriting:
		list = append(list, "Evidence is still being taken: look again in a moment.")
	case snapshot.StatusPending:
		list = append(list, "The evidence is safe, and is still being analysed.")
	case snapshot.StatusPartial:
		list = append(list, "This incident is partial: Collectors says what is missing, and why.")
	}
	if f := i.Freeze; f != nil && (f.Method == snapshot.RungProc || f.Method == "none") {
		list = append(list, "Its memory was not captured ("+f.Method+"): stacks are only what /proc or the program itself told.")
	}
	if st := c.full.Stacks; st != nil {
		if st.Unwound < st.Total {
			list = append(list, strconv.Itoa(st.Unwound)+" of "+strconv.Itoa(st.Total)+" stacks were read.")
		}
	}
	return list
}

func orNone[T any](v *T, name string) (any, error) {
	if v == nil {
		return nil, errNoPart(name)
	}
	return v, nil
}

// compare holds this incident against another one, or its two captures against
// each other.
func (s *Server) compare(c *incidentCase, with string) (any, error) {
	out := api.Compare{Left: occurrence(c.entry), Right: occurrence(c.entry), Groups: []api.ComparedGroup{}}
	if with == "captures" {
		if c.suspect == nil || c.full.Process == nil {
			out.Why = "This incident has one capture only."
			return out, nil
		}
		out.Comparison = analyze.CompareProcess(*c.suspect, *c.full.Process)
		return out, nil
	}
	other, err := s.open(with)
	if err != nil {
		return nil, err
	}
	out.Right = occurrence(other.entry)
	for _, one := range []*incidentCase{c, other} {
		if one.full.Stacks == nil {
			out.Why = "Incident " + one.full.Incident.ID + " has no stacks."
			return out, nil
		}
	}
	out.Comparison, out.Groups = view.Compare(c.full.Stacks, other.full.Stacks)
	return out, nil
}

func occurrence(e *entry) api.Occurrence {
	return view.Occurrence(&e.Incident, e.source.Name, e.pinned)
}
