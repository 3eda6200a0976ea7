package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strconv"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/browser/view"
	"github.com/vigil-supervisor/vigil/browser/web"
)

// offlineGroups is of how many groups an exported page has the variables.
const offlineGroups = 200

// offlinePolicy lets an exported page run what stands in it, and fetch nothing.
const offlinePolicy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

// writeHTML writes the pages with all answers about one incident in one file. The
// pages find an answer by the path that they would have asked for.
func (s *Server) writeHTML(w io.Writer, id string, share bool) error {
	c, err := s.open(id)
	if err != nil {
		return err
	}
	if share {
		if c, err = s.shared(c); err != nil {
			return err
		}
	}
	answers, err := s.answers(c)
	if err != nil {
		return err
	}
	data, err := json.Marshal(answers) // escapes <, > and &: it cannot end the element that it stands in
	if err != nil {
		return fmt.Errorf("cannot export incident %s: %w", id, err)
	}
	files := web.Files()
	script, err1 := fs.ReadFile(files, "app.js")
	style, err2 := fs.ReadFile(files, "app.css")
	if err1 != nil || err2 != nil {
		return fmt.Errorf("cannot export incident %s: the pages are not built into this vigil", id)
	}
	_, err = fmt.Fprintf(w, `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="%s">
<title>%s</title>
<style>%s</style>
</head>
<body>
<div id="app"></div>
<noscript>This file needs JavaScript; it asks no server for anything.</noscript>
<script type="application/json" id="vigil-data">%s</script>
<script type="module">%s</script>
</body>
</html>
`, offlinePolicy, "vigil: "+fileName(c.full.Incident.ID), closeless(style, "style"), data, closeless(script, "script"))
	if err != nil {
		return fmt.Errorf("cannot write incident %s: %w", id, err)
	}
	return nil
}

// closeless keeps a text from ending the element that it stands in.
func closeless(text []byte, element string) []byte {
	return bytes.ReplaceAll(text, []byte("</"+element), []byte("<\\/"+element))
}

// answers are those that the pages ask for about one incident, by path.
func (s *Server) answers(c *incidentCase) (map[string]any, error) {
	id := c.full.Incident.ID
	about := s.about()
	about.Offline, about.Live, about.MayAct, about.Sources = true, false, false, []api.Source{}
	first := s.incident(c)
	first.Directory, first.Newer, first.Older = "", "", ""
	out := map[string]any{
		"about":     about,
		"incidents": api.Issues{Issues: []api.Issue{issue([]*entry{{Incident: c.full.Incident, source: c.entry.source}}, []*entry{c.entry})}, Total: 1, Seen: 1, Problems: []string{}},
		"now":       api.Now{Time: c.full.Incident.Time, Why: "This is an exported incident, not a running vigil."},
	}
	at := "incidents/" + id
	out[at] = first
	for _, by := range api.Groupings() {
		for _, idle := range []bool{false, true} {
			q := url.Values{"by": {by}}
			if idle {
				q.Set("idle", "1")
			}
			q.Set("limit", strconv.Itoa(api.MaxGroups))
			out[at+"/stacks?"+q.Encode()] = view.Stacks(c.full.Stacks, view.Query{By: by, Idle: idle, Limit: api.MaxGroups}, s.context(c))
		}
	}
	if c.full.Stacks != nil {
		for n := range c.full.Stacks.Groups[:min(len(c.full.Stacks.Groups), offlineGroups)] {
			if d, ok := view.Detail(c.full.Stacks, c.full.Process, n, s.context(c)); ok {
				out[at+"/groups/"+strconv.Itoa(n)] = d
			}
		}
	}
	out[at+"/waits"] = view.Waits(c.full.Stacks)
	out[at+"/flame"] = view.Flame(c.full.Stacks, false)
	out[at+"/flame?idle=1"] = view.Flame(c.full.Stacks, true)
	out[at+"/timeline"] = view.Timeline(&c.full.Incident, c.full.Timeline, c.samples, c.full.Output)
	out[at+"/output"] = view.Output(c.full.Output, c.full.Incident.Time, view.OutputQuery{})
	if c.full.Process != nil {
		out[at+"/process"] = view.Process(c.full.Process, c.suspect, c.world)
	}
	for name, part := range map[string]any{"world": c.world, "tree": c.tree, "runtime": c.runtime} {
		if text, err := json.Marshal(part); err == nil && string(text) != "null" {
			out[at+"/"+name] = part
		}
	}
	if first.Captures {
		compared, err := s.compare(c, "captures")
		if err != nil {
			return nil, err
		}
		out[at+"/compare?with=captures"] = compared
	}
	return out, nil
}
