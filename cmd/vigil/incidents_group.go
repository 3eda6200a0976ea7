package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// incidentGroup is what incidents have in common, in JSON.
type incidentGroup struct {
	Value    string            `json:"value"` // of what it was grouped by
	Count    int               `json:"count"`
	First    time.Time         `json:"first"`
	Last     time.Time         `json:"last"`
	Services []string          `json:"services"`
	Newest   snapshot.Incident `json:"newest"`
}

// groupIncidents groups by a field. The list is newest first, and so are the
// groups.
func groupIncidents(list []snapshot.Incident, by string) []incidentGroup {
	at := map[string]int{}
	groups := []incidentGroup{}
	for _, i := range list {
		value := map[string]string{"fingerprint": i.Fingerprint, "service": i.Service, "cause": string(i.Cause)}[by]
		key := value
		if value == "" {
			key = "\x00" + i.ID // one without is like no other
		}
		n, ok := at[key]
		if !ok {
			n = len(groups)
			at[key] = n
			groups = append(groups, incidentGroup{Value: value, Last: i.Time, Newest: i, Services: []string{}})
		}
		g := &groups[n]
		g.Count++
		g.First = i.Time
		if !slices.Contains(g.Services, i.Service) {
			g.Services = append(g.Services, i.Service)
		}
	}
	return groups
}

func (a *app) tellGroups(groups []incidentGroup) {
	rows := [][]cell{{{text: "COUNT"}, {text: "LAST"}, {text: "FIRST"}, {text: "SERVICE"}, {text: "CAUSE"}, {text: "NEWEST"}, {text: "SENTENCE"}}}
	for _, g := range groups {
		service := g.Newest.Service
		if n := len(g.Services); n > 1 {
			service += fmt.Sprintf(" +%d", n-1)
		}
		rows = append(rows, []cell{{text: fmt.Sprint(g.Count)}, {text: g.Last.UTC().Format(time.RFC3339)}, {text: g.First.UTC().Format(time.RFC3339)},
			{text: service}, {text: string(g.Newest.Cause)}, {text: g.Newest.ID}, {text: g.Newest.Sentence}})
	}
	fmt.Fprint(a.out, a.table(rows))
}
