package view

import (
	"strings"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Occurrence is an incident in a list.
func Occurrence(i *snapshot.Incident, source string, pinned bool) api.Occurrence {
	return api.Occurrence{
		ID: i.ID, Source: source, Service: i.Service, Instance: i.Instance, Time: i.Time, Host: i.Host, Cause: i.Cause, Sentence: i.Sentence,
		Status: i.Status, Version: Version(i), Uptime: float64(i.Uptime), Bytes: i.Bytes, Pinned: pinned, Badges: Badges(i),
	}
}

// Version is what tells two builds of a program apart, as far as the incident
// knows: the module's version, or the revision, or the beginning of the build id.
func Version(i *snapshot.Incident) string {
	p := i.Program
	if p == nil {
		return ""
	}
	if _, v, ok := strings.Cut(p.Module, "@"); ok && v != "" && v != "(devel)" {
		return v
	}
	if _, v, ok := strings.Cut(p.Module, " "); ok && v != "" && v != "(devel)" {
		return v
	}
	if p.Revision != "" {
		return p.Revision[:min(len(p.Revision), 12)]
	}
	return p.BuildID[:min(len(p.BuildID), 12)]
}

// evidence is which file makes which badge, and which collector tells why it is
// missing.
var evidence = []struct {
	name, file string
	collectors []string
	always     bool // shown even when it is missing
}{
	{"stacks", snapshot.FileStacks, []string{"golang", "jvm", "python", "node", "native", "gotext", "stacks", "analyze"}, true},
	{"process", snapshot.FileProcess, []string{"process"}, true},
	{"world", snapshot.FileWorld, []string{"world"}, true},
	{"output", snapshot.FileOutput, []string{"output"}, true},
	{"timeline", snapshot.FileTimeline, nil, true},
	{"samples", snapshot.FileSamples, nil, false},
	{"tree", snapshot.FileTree, []string{"tree"}, false},
	{"runtime", snapshot.FileRuntime, []string{"runtime"}, false},
	{"core", snapshot.FileCore, nil, false},
}

// Badges says of each part of the evidence whether it is there.
func Badges(i *snapshot.Incident) []api.Badge {
	files := map[string]bool{}
	for _, f := range i.Files {
		files[f.Name] = true
	}
	list := []api.Badge{}
	for _, e := range evidence {
		b := api.Badge{Name: e.name, State: "ok"}
		why, partial := reason(i, e.collectors)
		removed := removedBy(i, e.file)
		switch {
		case files[e.file] && partial:
			b.State, b.Why = "partial", why
		case files[e.file]:
		case i.Status == snapshot.StatusWriting || i.Status == snapshot.StatusPending:
			continue // it may still come
		case removed != "":
			b.State, b.Why = "removed", removed
		case !e.always:
			continue
		default:
			b.State, b.Why = "missing", why
		}
		list = append(list, b)
	}
	return list
}

// reason is what a collector says of what it could not do.
func reason(i *snapshot.Incident, collectors []string) (why string, partial bool) {
	for _, r := range i.Ran {
		for _, name := range collectors {
			if r.Name == name && r.Result != "ok" {
				return r.Name + " " + r.Result + ": " + r.Reason, r.Result == "partial"
			}
		}
	}
	return "", false
}

// removedBy is the sentence that tells of a file that was removed, by the bounds of
// the store or before that for its size.
func removedBy(i *snapshot.Incident, file string) string {
	if r, ok := i.RemovedFile(file); ok {
		return r.Sentence()
	}
	for _, m := range i.Missing {
		if strings.Contains(m, file) && strings.Contains(m, "removed") {
			return m
		}
	}
	return ""
}
