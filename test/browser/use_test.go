package browser

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vigil-supervisor/vigil/control"
)

// From the list to the culprit, by mouse.
func TestFromTheListToTheCulprit(t *testing.T) {
	h := open(t)
	s := serve(t, h.flags...)
	p := newPage(t, 1400, 900)
	p.login(s)
	p.until(fmt.Sprintf("document.querySelectorAll('.issue').length >= %d", len(h.incidents)))

	p.choose("Cause", "hang")
	p.until("document.querySelectorAll('.issue').length === 1")
	if hash := eval[string](p, "location.hash"); !strings.Contains(hash, "cause=hang") {
		t.Errorf("the filter is not in the address: %s", hash)
	}
	p.click(".issue button", "1")
	p.says(".occurrences td", "wedge")
	p.click(".issue > a", "wedge")
	p.says(".card .verdict", "deadlocked on sync.Mutex")
	p.says(".confidence", "likely")
	p.click(".card a", "stacks.json: deadlock 1")
	p.see(".graph .node.cycle")
	if n := p.count(".graph .edge.cycle.inferred"); n != 2 {
		t.Errorf("%d inferred edges of a cycle", n)
	}
	p.click(".graph .node .name", "payInWrongOrder")
	p.says("details.group[open] .frames .own", "main.payInWrongOrder")
	p.says("details.group[open] .fold", "frames of libraries")
	p.click("details.group[open] .frames .own button", "breakage.go")
	p.says("details.group[open] .source .here", "Lock")
	p.click("details.group[open] button", "Variables and members")
	p.says("details.group[open]", "Variables of goroutine")
	p.shot("culprit")
	eval[bool](p, "(history.back(), true)")
	p.see("#tab-waits[aria-selected=true]")
}

// What is normal for a service moves to its heap, and is still there after a
// reload of the page.
func TestNormalIsRemembered(t *testing.T) {
	h := open(t)
	s := serve(t, h.flags...)
	p := newPage(t, 1400, 900)
	p.login(s)
	at := "#/incident/" + h.incidents["zookeeper"].ID + "/stacks"
	if !h.zookeeper {
		at = "#/incident/" + h.incidents["wedge"].ID + "/stacks"
	}
	p.at(at)
	p.see(".heap.look .group")
	label := eval[string](p, "document.querySelector('.heap.look .group .label').textContent")
	p.click(".heap.look .group summary", label)
	p.click(".heap.look .group button", "Normal for this service")
	p.says(".heap.normal .group .label", label)
	p.to(s.address + at)
	eval[bool](p, "(location.reload(), true)")
	p.says(".heap.normal .group .label", label)
	p.says(".heap.normal .reason", "marked as normal for this service")
	p.click(".heap.normal .group summary", label)
	p.click(".heap.normal .group button", "Not normal")
	p.says(".heap.look .group .label", label)
}

func TestRegroupAndSearch(t *testing.T) {
	h := open(t)
	s := serve(t, h.flags...)
	p := newPage(t, 1400, 900)
	p.login(s)
	p.at("#/incident/" + h.incidents["wedge"].ID + "/stacks")
	p.choose("Group by", "creator")
	p.says(".group .label", "waitgroup.go")
	p.fill("#panel input[type=search]", "payInWrongOrder")
	p.until("document.querySelectorAll('.group').length === 1")
	if hash := eval[string](p, "location.hash"); !strings.Contains(hash, "q=payInWrongOrder") || !strings.Contains(hash, "by=creator") {
		t.Errorf("the address is %s", hash)
	}
	// The address is enough to see the same.
	link := eval[string](p, "location.href")
	p.to("about:blank")
	p.to(link)
	p.until("document.querySelectorAll('.group').length === 1 && document.querySelector('#panel input[type=search]').value === 'payInWrongOrder'")
}

// The keyboard alone is enough.
func TestKeyboard(t *testing.T) {
	h := open(t)
	s := serve(t, h.flags...)
	p := newPage(t, 1400, 900)
	p.login(s)
	p.see(".issue")
	p.press("?")
	p.see("dialog[open]")
	p.accessible("the help")
	p.press("\u001b")
	p.until("!document.querySelector('dialog[open]')")
	p.press("/")
	p.until("document.activeElement.type === 'search'")
	p.press("j", "\u001b")
	p.until("document.activeElement.type !== 'search'")
	p.fill("input[type=search]", "wedge")
	p.press("\u001b")
	p.until("document.querySelectorAll('.issue').length === 1")
	p.press("j")
	p.until("document.activeElement.closest('.issue')")
	p.press("\r")
	p.see("#tab-stacks[aria-selected=true]")
	for n, view := range []string{"stacks", "waits", "flame", "timeline", "world", "output", "collectors", "share"} {
		p.press(fmt.Sprint(n + 1))
		p.see("#tab-" + view + "[aria-selected=true]")
	}
	p.press("3")
	p.see(".flame .boxes button")
	eval[bool](p, "(document.querySelector('.flame .boxes button').focus(), true)")
	p.press("\uE015") // down
	p.press("\r")
	p.see("details.group[open]")
	p.press("g", "n")
	p.says("h1", "Now")
	p.press("g", "l")
	p.says("h1", "Incidents")
}

// Dragging over a chart chooses a time for all of them, and for the events.
func TestBrushing(t *testing.T) {
	h := open(t)
	s := serve(t, h.flags...)
	p := newPage(t, 1400, 1400)
	p.login(s)
	p.at("#/incident/" + h.incidents["wedge"].ID + "/timeline")
	p.see(".chart .u-over")
	before := p.count(".timeline .events li")
	// A lane for the sign that was missed, with the time for which it was; the
	// machine's pressure beside the rest.
	p.says(".lane .name", "heartbeat")
	p.see(".lane .span.silence")
	p.says(".chart figcaption", "processor pressure")
	p.says(".timeline .events li", "verdict")
	p.drag(".chart .u-over", 0.05, 0.3)
	p.until("location.hash.includes('from=')")
	p.until(fmt.Sprintf("document.querySelectorAll('.timeline .events li').length < %d", before))
	// The time holds for what the service said too.
	p.press("6")
	p.see("#tab-output[aria-selected=true]")
	p.says("#panel", "chosen on the timeline")
	p.says("#panel [role=status]", "0 of ")
	p.click("#panel button", "Whole time")
	p.see(".output div")
	p.press("4")
	p.see(".chart .u-over")
	p.drag(".chart .u-over", 0.05, 0.3)
	p.until("location.hash.includes('from=')")
	p.click(".timeline button", "Whole time")
	p.until(fmt.Sprintf("document.querySelectorAll('.timeline .events li').length === %d", before))
	p.choose("Kind", "verdict")
	p.until("document.querySelectorAll('.timeline .events li').length === 1")
}

// A restart and a snapshot, asked for from the page; the incident of the snapshot
// arrives in the list while it is open.
func TestActions(t *testing.T) {
	h := open(t)
	s := serve(t, h.flags...)
	p := newPage(t, 1400, 900)
	list := newPage(t, 1400, 900)
	list.login(s)
	list.see(".issue")
	p.login(s)
	p.at("#/now")
	before := h.status(t, "wedge", func(s control.Service) bool { return s.State == "running" })
	p.says(".service h3", "wedge")
	p.click(".service[aria-label=wedge] button", "restart")
	p.see("dialog[open]")
	p.accessible("the question before a restart")
	p.click("dialog button", "Cancel")
	p.until("!document.querySelector('dialog[open]')")
	p.click(".service[aria-label=wedge] button", "restart")
	p.click("dialog button.primary", "Restart")
	h.status(t, "wedge", func(s control.Service) bool { return s.Instance > before.Instance && s.State == "running" && s.Ready })
	p.says(".events li", "wedge")
	p.click(".service[aria-label=wedge] button", "snapshot")
	p.click("dialog button.primary", "Snapshot")
	p.says("[role=status]", "incident ")
	list.says(".issue .cause", "requested")
	p.shot("now-after-actions")
	p.click("header + main button, .head button", "Reload")
	p.click("dialog button.primary", "Reload")
	p.says("[role=status]", "of the ledger")
}

// Who was started to read only has no buttons, and is refused when asking anyway.
func TestReadOnly(t *testing.T) {
	h := open(t)
	s := serve(t, append([]string{"--read-only"}, h.flags...)...)
	p := newPage(t, 1400, 900)
	p.login(s)
	p.at("#/now")
	p.says(".service h3", "wedge")
	if n := p.count(".service button"); n != 0 {
		t.Errorf("%d buttons", n)
	}
	if status := eval[int](p, `(() => { const x = new XMLHttpRequest(); x.open('POST', 'api/v1/now/ask', false); x.setRequestHeader('Content-Type', 'application/json'); x.send('{"verb":"stop","services":["wedge"]}'); return x.status; })()`); status != http.StatusForbidden {
		t.Errorf("asked anyway: %d", status)
	}
	p.forgive("403")
}

// Without the token there is nothing to see.
func TestWithoutToken(t *testing.T) {
	h := open(t)
	s := serve(t, h.flags...)
	p := newPage(t, 1400, 900)
	p.to(s.address)
	p.says("[role=alert]", "needs the token")
	p.to("about:blank")
	p.to(s.address + "#token=wrong")
	p.says("[role=alert]", "needs the token")
	p.forgive("401")
}

// An exported file opens from the disk, without a server and without a network.
func TestExportedFile(t *testing.T) {
	h := open(t)
	s := serve(t, h.flags...)
	for _, service := range []string{"wedge", "parser", "zookeeper"} {
		i, ok := h.incidents[service]
		if !ok {
			continue
		}
		t.Run(service, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "incident.html")
			s.fetch(t, "api/v1/incidents/"+i.ID+"/export?format=html&share=1", file)
			p := newPage(t, 1400, 900)
			p.offline()
			p.to("file://" + file)
			p.see(".issue")
			p.click(".issue > a", service)
			p.says(".card .verdict", map[string]string{"wedge": "deadlocked on sync.Mutex", "parser": "signal SEGV, in count parser.c:", "zookeeper": "NIOServerCxnFac"}[service])
			for _, view := range []string{"waits", "flame", "timeline", "world", "output", "collectors", "share", "stacks"} {
				p.click("[role=tab]", map[string]string{"waits": "Why blocked", "flame": "Flame graph", "timeline": "Timeline", "world": "World", "output": "Output",
					"collectors": "Collectors", "share": "Share", "stacks": "Stacks"}[view])
				p.see("#tab-" + view + "[aria-selected=true]")
				p.until("!document.querySelector('#panel').textContent.includes('Loading')")
				if text := p.text("#panel"); strings.Contains(text, "not in the exported file") {
					t.Errorf("%s: %s", view, text)
				}
			}
			p.see("details.group")
			p.shot("offline-" + service)
			for _, by := range []string{"top", "state"} {
				p.choose("Group by", by)
				p.until("!document.querySelector('#panel').textContent.includes('Loading') && document.querySelector('details.group')")
			}
			p.accessible("the exported file")
		})
	}
}

// A bundle, read again on another machine.
func TestBundle(t *testing.T) {
	h := open(t)
	file := filepath.Join(t.TempDir(), "wedge.tar.zst")
	if _, err := h.command("incidents", "export", h.incidents["wedge"].ID, "-o", file); err != nil {
		t.Fatal(err)
	}
	s := serve(t, file)
	p := newPage(t, 1400, 900)
	p.login(s)
	p.click(".issue > a", "wedge")
	p.says(".card .verdict", "deadlocked")
	p.see("details.group")
	p.at("#/now")
	p.says(".note", "no running vigil")
	if err := os.WriteFile(file+".cut", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.command("browse", file+".cut"); err == nil || !strings.Contains(err.Error(), "not a bundle") {
		t.Errorf("an empty bundle: %v", err)
	}
}

// Two incidents side by side, and the two captures of one.
func TestCompare(t *testing.T) {
	h := open(t)
	s := serve(t, h.flags...)
	p := newPage(t, 1400, 900)
	p.login(s)
	p.at("#/compare/" + h.incidents["wedge"].ID + "/" + h.incidents["zookeeper"].ID)
	if !h.zookeeper {
		p.at("#/compare/" + h.incidents["wedge"].ID + "/" + h.incidents["parser"].ID)
	}
	p.says("h2", "Only left")
	p.says("h2", "Only right")
	p.says("h2", "In both")
	p.see("details.group")
	p.shot("compare")
	p.accessible("compare")
	p.at("#/compare/" + h.incidents["wedge"].ID + "/captures")
	p.says("main", "did not move")
	p.shot("compare-captures")
	p.at("#/compare/" + h.incidents["wedge"].ID + "/none")
	p.says("[role=alert]", "cannot find incident")
	p.forgive("404")
}
