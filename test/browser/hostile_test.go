package browser

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// evil runs, were it taken for anything but text.
const evil = `"><img src=x onerror="window.hit=1"><script>window.hit=1</script></script>'><svg onload=window.hit=1> javascript:window.hit=1 {{hit}} \u202e` + "\x1b[31m\x00\u202e"

// newStore makes an empty store in a directory of its own.
func newStore(t *testing.T) (st *store.Store, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "incidents")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return st, dir
}

// hostile writes an incident that has script in each of its strings.
func hostile(t *testing.T) (dir, id string) {
	t.Helper()
	st, dir := newStore(t)
	w, err := st.Begin(store.Subject{Service: "web", Instance: 1, PID: 42, Cause: snapshot.CauseHang}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	place := snapshot.Place{Function: evil, File: "/" + evil + ".go", Line: 1}
	own := snapshot.Place{Function: "main." + evil, File: evil, Line: 1}
	group := func(id int64) snapshot.Group {
		return snapshot.Group{Count: 1, Status: evil, WaitReason: evil, IDs: []int64{id}, Sample: id, CreatedBy: &place, Start: &place, Labels: []string{evil}, Idle: "",
			Members: []snapshot.Member{{ID: id, Name: evil, Labels: []string{evil}}},
			Frames:  []snapshot.Frame{{Place: place}, {Place: own, Arguments: []snapshot.Variable{{Name: evil, Type: evil, Value: evil}}, Locals: []snapshot.Variable{{Name: evil, Type: evil, Error: evil}}}}}
	}
	now := time.Now()
	err = errors.Join(
		w.WriteJSON(snapshot.FileStacks, snapshot.Stacks{Schema: 1, Runtime: "go", Total: 2, Unwound: 1, Source: evil, Notes: []string{evil}, Groups: []snapshot.Group{group(1), group(2)},
			Waits:     []snapshot.Wait{{Waiter: 1, Holder: 2, Kind: evil, Name: evil, Place: &place}, {Waiter: 2, Holder: 1, Kind: evil, Name: evil}},
			Deadlocks: []snapshot.Cycle{{Members: []int64{1, 2}}}, Crash: &snapshot.Crash{Kind: evil, Message: evil, Frame: &place}}),
		w.WriteJSON(snapshot.FileProcess, snapshot.Process{Schema: 1, PID: 42, Comm: evil, Exe: evil, Cwd: evil, Command: []string{evil}, Environment: []string{evil + "=" + evil}, State: evil,
			Limits: []string{evil}, Cgroup: evil, FDs: []snapshot.FD{{Number: 1, Target: evil}}, Maps: []string{evil}, Threads: []snapshot.Thread{{TID: 1, Comm: evil, State: evil, Wchan: evil, Syscall: evil}}, Denied: []string{evil}}),
		w.WriteJSON(snapshot.FileWorld, snapshot.World{Schema: 1, Findings: []string{evil}, Sockets: []snapshot.Socket{{Local: evil, Remote: evil, State: evil}}, States: map[string]int{evil: 1},
			Peers: []snapshot.Peer{{Address: evil, Device: evil, Gateway: evil}}, Cgroup: &snapshot.CgroupState{Path: evil, Pressure: []string{evil}}, Pressure: []string{evil}, Missing: []string{evil}, Since: evil}),
		w.WriteJSON(snapshot.FileTree, snapshot.Tree{Schema: 1, Count: 1, Processes: []snapshot.TreeProcess{{PID: 1, Comm: evil, Command: []string{evil}, State: evil, Missing: []string{evil}}}}),
		w.WriteJSON(snapshot.FileRuntime, snapshot.RuntimeReport{Schema: 1, Runtime: evil, Version: evil, Heap: []string{evil}, Notes: []string{evil}}),
		w.WriteJSON(snapshot.FileTimeline, []snapshot.Moment{{Time: now, Kind: "state", Text: evil}, {Time: now, Kind: evil, Text: evil}, {Time: now, Kind: "verdict", Text: evil}}),
		w.WriteFile(snapshot.FileOutput, []byte(evil+"\n"+strings.Repeat(evil, 3)+"\n")),
		w.Pending())
	if err != nil {
		t.Fatal(err)
	}
	done, err := w.Complete(snapshot.Incident{
		Schema: 1, Service: "web", Instance: 1, PID: 42, Time: now.UTC(), Host: evil, Cause: snapshot.CauseHang, Sentence: evil, Fingerprint: "v2:" + evil, Command: []string{evil},
		Program: &snapshot.Program{Path: evil, Runtime: evil, Module: "github.com/" + evil + "/x@v1", Revision: evil, GoVersion: evil, BuildID: evil}, Missing: []string{evil},
		Card: &snapshot.Card{Sentence: evil, Confidence: evil, Why: evil, Evidence: []snapshot.CardFact{{Text: evil, Where: evil}}, LookAt: []string{evil}, Not: []string{evil}},
		Ran:  []snapshot.Ran{{Name: evil, Result: evil, Reason: evil}}, Vigil: evil,
		Freeze: &snapshot.Freeze{Method: evil, Refused: []snapshot.Refusal{{Rung: evil, Reason: evil}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, done.ID
}

// Whatever an incident holds is shown as text.
func TestHostileStrings(t *testing.T) {
	chromium(t)
	dir, id := hostile(t)
	s := serve(t, dir)
	p := newPage(t, 1400, 900)
	p.login(s)
	p.see(".issue")
	p.click(".issue button", "1")
	p.see(".occurrences table")
	quiet := func(what string) {
		t.Helper()
		if eval[bool](p, "!!window.hit || !!document.querySelector('main img, main script, main svg[onload]')") {
			t.Fatalf("%s ran what it should show", what)
		}
		if bad := eval[string](p, "[...document.querySelectorAll('a')].map(a => a.href).filter(h => !h.startsWith(location.origin + '/')).join(' ')"); bad != "" {
			t.Errorf("%s links to %s", what, bad)
		}
	}
	quiet("the list")
	for _, view := range []string{"stacks", "waits", "flame", "timeline", "world", "output", "collectors", "share"} {
		p.at("#/incident/" + id + "/" + view)
		p.see("#tab-" + view + "[aria-selected=true]")
		p.until("!document.querySelector('#panel').textContent.includes('Loading')")
		eval[bool](p, "(document.querySelectorAll('details').forEach(d => d.open = true), true)")
		if view != "share" && view != "collectors" {
			p.says("#panel", "onerror")
		}
		quiet(view)
		if strings.ContainsAny(p.text("main"), "\x1b\u202e") {
			t.Errorf("%s shows control characters as they are: %s", view, eval[string](p, `[...document.querySelectorAll('main *')].filter(e => [...e.childNodes].some(n => n.nodeType === 3 && /[\x1b\u202e]/.test(n.data))).map(e => e.outerHTML.slice(0, 150)).slice(0, 4).join(' | ')`))
		}
	}
	p.at("#/incident/" + id + "/stacks")
	p.see("details.group")
	eval[bool](p, "(document.querySelectorAll('details').forEach(d => d.open = true), true)")
	p.click("details.group button", "Variables and members")
	p.says("details.group", "Variables of")
	quiet("variables")
	p.at("#/compare/" + id + "/" + id)
	p.says("h2", "In both")
	quiet("compare")

	file := filepath.Join(t.TempDir(), "incident.html")
	s.fetch(t, "api/v1/incidents/"+id+"/export?format=html", file)
	p.to("file://" + file)
	p.click(".issue > a", "web")
	p.see("details.group")
	if eval[bool](p, "!!window.hit || !!document.querySelector('main img, main script')") {
		t.Error("the exported file ran what it should show")
	}
}

// An incident that is removed while it is open says so, and hides nothing else.
func TestRemovedWhileOpen(t *testing.T) {
	chromium(t)
	dir, id := hostile(t)
	s := serve(t, dir)
	p := newPage(t, 1400, 900)
	p.login(s)
	p.at("#/incident/" + id + "/stacks")
	p.see("details.group")
	if err := os.RemoveAll(filepath.Join(dir, id)); err != nil {
		t.Fatal(err)
	}
	p.at("#/incident/" + id + "/waits")
	p.says("[role=alert]", "removed meanwhile")
	p.at("#/")
	p.says("main", "There are no incidents")
	p.forgive("410")
}
