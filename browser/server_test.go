package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/browser/view"
	"github.com/vigil-supervisor/vigil/snapshot"
)

func TestIssues(t *testing.T) {
	r := newRig(t, nil)
	var ids []string
	for n := range 3 {
		ids = append(ids, r.incident("web", deadlock(2), func(i *snapshot.Incident) { i.Host = fmt.Sprint("host", n) }).ID)
	}
	r.incident("db", nil, func(i *snapshot.Incident) { i.Cause, i.Sentence = snapshot.CauseCrash, "it crashes" })
	r.incident("cron", nil, func(i *snapshot.Incident) { i.Fingerprint = "" })
	r.incident("cron", nil, func(i *snapshot.Incident) { i.Fingerprint = "" })
	r.s.index.refresh(time.Now(), true)
	all := get[api.Issues](r, "incidents")
	if all.Total != 4 || all.Seen != 6 || len(all.Issues) != 4 {
		t.Fatalf("%d of %d: %+v", len(all.Issues), all.Total, all)
	}
	web := all.Issues[3]
	if web.Count != 3 || web.Newest.ID != ids[2] || len(web.Hosts) != 3 || len(web.Spark) != sparkParts || len(web.Newest.Badges) == 0 {
		t.Errorf("%+v", web)
	}
	for query, want := range map[[2]string]int{
		{"service", "web"}: 3, {"cause", "crash"}: 1, {"q", "CRASHES"}: 1, {"q", "main.Transfer"}: 3, {"q", "bank.go"}: 3, {"q", "nowhere"}: 0,
		{"since", time.Now().Add(time.Hour).Format(time.RFC3339)}: 0, {"until", time.Now().Add(time.Hour).Format(time.RFC3339)}: 6, {"source", "one"}: 6, {"source", "two"}: 0,
	} {
		if got := get[api.Issues](r, "incidents", query[0], query[1]); got.Seen != want {
			t.Errorf("%v: %d incidents, want %d", query, got.Seen, want)
		}
	}
	if got := get[api.Issues](r, "incidents", "offset", "1", "limit", "2"); len(got.Issues) != 2 || got.Total != 4 {
		t.Errorf("a page: %d of %d", len(got.Issues), got.Total)
	}
	if got := get[api.Occurrences](r, "occurrences", "fingerprint", "v2:web"); got.Total != 3 {
		t.Errorf("occurrences: %+v", got)
	}
	for _, q := range []string{"cause=boredom", "since=yesterday", "offset=-1", "limit=x", "q=" + strings.Repeat("x", maxText+1)} {
		r.refuses("GET", api.Prefix+"incidents?"+q, "", http.StatusBadRequest, nil)
	}
	first := get[api.Incident](r, "incidents/"+ids[1])
	if first.Same != 3 || first.Newer != ids[2] || first.Older != ids[0] {
		t.Errorf("%d alike, newer %s, older %s", first.Same, first.Newer, first.Older)
	}
}

func TestStacks(t *testing.T) {
	r := newRig(t, nil)
	id := r.incident("web", deadlock(40), nil).ID
	at := "incidents/" + id
	got := get[api.Stacks](r, at+"/stacks")
	if got.Total != 93 || got.Count != 4 || got.Idle != 40 || got.Noun != "goroutine" {
		t.Fatalf("%+v", got)
	}
	if g := got.Groups[0]; g.Heap != api.HeapSuspicious || !g.Deadlock || !g.Variables || g.Frames[0].Own || !g.Frames[1].Own {
		t.Errorf("%+v", g)
	}
	if g := got.Groups[3]; g.Heap != api.HeapLook {
		t.Errorf("%+v", g)
	}
	for by, want := range map[string]int{api.ByStack: 5, api.ByTop: 5, api.ByCreator: 2, api.ByState: 3, api.ByName: 4, api.ByLabel: 3} {
		got := get[api.Stacks](r, at+"/stacks", "by", by, "idle", "1")
		members := 0
		for _, g := range got.Groups {
			members += g.Count
		}
		if got.Count != want || members != 93 {
			t.Errorf("by %s: %d groups with %d members", by, got.Count, members)
		}
	}
	if got := get[api.Stacks](r, at+"/stacks", "q", "REFUND"); got.Count != 1 || got.Matching != 1 {
		t.Errorf("search: %+v", got)
	}
	d := get[api.GroupDetail](r, at+"/groups/0")
	if len(d.Detailed) != 2 || len(d.Detailed[1].Arguments) != 2 || !d.Detailed[1].Arguments[1].Masked || d.Detailed[1].Arguments[1].Value != "" || len(d.Waits) == 0 {
		t.Errorf("%+v", d)
	}
	for _, path := range []string{"/groups/-1", "/groups/99", "/groups/x", "/groups/0/source?frame=99", "/stacks?by=mood"} {
		r.refuses("GET", api.Prefix+at+path, "", http.StatusBadRequest, nil)
	}
	w := get[api.Waits](r, at+"/waits")
	if len(w.Cycles) != 1 || len(w.Nodes) != 3 || !w.Nodes[0].Cycle || !strings.Contains(w.Cycles[0].Sentence, "50 more wait") {
		t.Errorf("%+v", w)
	}
	if n := w.Nodes[2]; n.Count != 50 || !strings.Contains(n.Label, "and 49 more") {
		t.Errorf("%+v", n)
	}
	if f := get[api.Flame](r, at+"/flame"); f.Root.Count != 53 || len(f.Root.Children) != 4 {
		t.Errorf("%+v", f)
	}
	if o := get[api.Output](r, at+"/output", "q", "SECOND"); o.All != 2 || o.Total != 1 || o.Lines[0].Number != 2 {
		t.Errorf("%+v", o)
	}
}

// What is normal for a service is remembered, and applied to its next incident.
func TestNormal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "normal.json")
	r := newRig(t, func(o *Options) { o.NormalFile = file })
	first := r.incident("web", deadlock(0), nil)
	group := get[api.Stacks](r, "incidents/"+first.ID+"/stacks").Groups[3]
	if reply, text := r.do("PUT", api.Prefix+"services/web/normal", fmt.Sprintf(`{"key":%q,"normal":true}`, group.Key), nil); reply.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", reply.StatusCode, text)
	}
	again := newRig(t, func(o *Options) { o.NormalFile = file })
	moved := deadlock(0)
	moved.Groups[3].Frames[0].Line = 99 // an edit above it
	for service, want := range map[string]string{"web": api.HeapNormal, "other": api.HeapLook} {
		i := again.incident(service, moved, nil)
		if g := get[api.Stacks](again, "incidents/"+i.ID+"/stacks").Groups[3]; g.Heap != want {
			t.Errorf("%s: %+v", service, g)
		}
	}
	r.refuses("PUT", api.Prefix+"services/web/normal", `{"key":"../../etc","normal":true}`, http.StatusBadRequest, nil)
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Hosts: []string{"x"}, NormalFile: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a broken file: %v", err)
	}
}

// An incident that is removed while it is open says so.
func TestGone(t *testing.T) {
	r := newRig(t, nil)
	i := r.incident("web", deadlock(0), nil)
	get[api.Stacks](r, "incidents/"+i.ID+"/stacks")
	if err := os.RemoveAll(filepath.Join(r.root, i.ID)); err != nil {
		t.Fatal(err)
	}
	for _, rest := range []string{"", "/stacks", "/output"} {
		r.refuses("GET", api.Prefix+"incidents/"+i.ID+rest, "", http.StatusGone, nil)
	}
	r.refuses("GET", api.Prefix+"incidents/20200101T000000.000000Z-web-0000", "", http.StatusNotFound, nil)
}

// Files that are cut, too large or of another kind are told, and hide nothing.
func TestDamaged(t *testing.T) {
	r := newRig(t, nil)
	for name, text := range map[string]string{"cut": `{"schema":1,"groups":[{"cou`, "newer": `{"schema":99}`, "list": `[]`, "empty": ``, "deep": strings.Repeat("[", 20000)} {
		i := r.incident(name, deadlock(0), nil)
		if err := os.WriteFile(filepath.Join(r.root, i.ID, snapshot.FileStacks), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := get[api.Incident](r, "incidents/"+i.ID)
		if len(got.Problems) == 0 || !strings.Contains(strings.Join(got.Problems, " "), snapshot.FileStacks) {
			t.Errorf("%s: %q", name, got.Problems)
		}
		for _, rest := range []string{"stacks", "waits", "flame", "timeline", "output"} {
			get[map[string]any](r, "incidents/"+i.ID+"/"+rest)
		}
	}
	huge := r.incident("huge", deadlock(0), nil)
	if err := os.Truncate(filepath.Join(r.root, huge.ID, snapshot.FileStacks), 1<<40); err != nil {
		t.Fatal(err)
	}
	if got := get[api.Incident](r, "incidents/"+huge.ID); !strings.Contains(strings.Join(got.Problems, " "), "limit") {
		t.Errorf("huge: %q", got.Problems)
	}
	broken := filepath.Join(r.root, "20200101T000000.000000Z-web-abcd")
	if err := os.Mkdir(broken, 0o700); err != nil {
		t.Fatal(err)
	}
	r.s.index.refresh(time.Now(), true)
	if got := get[api.Issues](r, "incidents"); len(got.Problems) == 0 || got.Seen != 6 {
		t.Errorf("beside a broken one: %d, %q", got.Seen, got.Problems)
	}
}

// A file of the machine is shown only as what it is said to be.
func TestSource(t *testing.T) {
	r := newRig(t, nil)
	dir := t.TempDir()
	good := filepath.Join(dir, "good.go")
	var text strings.Builder
	for n := range 30 {
		fmt.Fprintf(&text, "line %d\n", n+1)
	}
	link := filepath.Join(dir, "link.go")
	fifo := filepath.Join(dir, "secret")
	if err := os.WriteFile(good, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fifo, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	st := deadlock(0)
	var frames []snapshot.Frame
	for _, file := range []string{good, "/etc/shadow", fifo, link, "good.go", dir + "/../" + filepath.Base(dir) + "/good.go", dir, "/dev/zero.go", ""} {
		frames = append(frames, snapshot.Frame{Place: snapshot.Place{Function: "main.f", File: file, Line: 10}})
	}
	st.Groups[0].Frames = frames
	id := r.incident("web", st, nil).ID
	for n := range frames {
		got := get[api.SourceText](r, fmt.Sprintf("incidents/%s/groups/0/source", id), "frame", fmt.Sprint(n))
		if n == 0 {
			if len(got.Lines) != 11 || got.Lines[5].Text != "line 10" || got.Why != "" {
				t.Errorf("%+v", got)
			}
		} else if len(got.Lines) != 0 || got.Why == "" {
			t.Errorf("%q: %+v", frames[n].File, got)
		}
	}
}

func TestLinks(t *testing.T) {
	program := &snapshot.Program{Module: "github.com/acme/shop@v1.2.3", Revision: "0123456789abcdef0123456789abcdef01234567"}
	link := linkOf(&snapshot.Incident{Program: program})
	for _, c := range []struct{ function, file, want string }{
		{"github.com/acme/shop/cart.(*Cart).Add", "/build/cart/add.go", "https://github.com/acme/shop/blob/0123456789abcdef0123456789abcdef01234567/cart/add.go#L7"},
		{"github.com/acme/shop.Run", "/build/run.go", "https://github.com/acme/shop/blob/0123456789abcdef0123456789abcdef01234567/run.go#L7"},
		{"github.com/acme/shop/v2/cart.Add", "/build/cart/add.go", "https://github.com/acme/shop/blob/0123456789abcdef0123456789abcdef01234567/cart/add.go#L7"},
		{"github.com/acme/shop/v2.Run", "/build/run.go", "https://github.com/acme/shop/blob/0123456789abcdef0123456789abcdef01234567/run.go#L7"},
		{"github.com/acme/shopping.Run", "/build/run.go", ""},
		{"github.com/other/lib.F", "/lib/f.go", ""}, {"main.main", "/build/main.go", ""}, {"github.com/acme/shop/cart.F", "", ""},
	} {
		if got := link(snapshot.Place{Function: c.function, File: c.file, Line: 7}); got != c.want {
			t.Errorf("%s: %q, want %q", c.function, got, c.want)
		}
	}
	for _, bad := range []snapshot.Program{{Module: "javascript:alert(1)//x/y", Revision: program.Revision}, {Module: "github.com/a/..", Revision: program.Revision},
		{Module: program.Module, Revision: "javascript"}, {Module: "evil.example/a/b", Revision: program.Revision}, {Module: `github.com/a"b/c`, Revision: program.Revision}} {
		if got := revisionLink(&snapshot.Incident{Program: &bad}); got != "" {
			t.Errorf("%+v: %q", bad, got)
		}
	}
}

// The stream tells of what arrives and what goes.
func TestLive(t *testing.T) {
	r := newRig(t, nil)
	r.incident("web", nil, nil)
	r.s.index.refresh(time.Now(), true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", r.http.URL+api.Prefix+"live", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	reply, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	lines := bufio.NewScanner(reply.Body)
	next := func(kind string) (m api.Live) {
		t.Helper()
		for lines.Scan() {
			text, ok := strings.CutPrefix(lines.Text(), "data: ")
			if ok && json.Unmarshal([]byte(text), &m) == nil && m.Kind == kind {
				return m
			}
		}
		t.Fatalf("the stream ended before %q: %v", kind, lines.Err())
		return m
	}
	lines.Scan() // it has begun
	i := r.incident("db", nil, nil)
	for m := next("incident"); m.ID != i.ID || m.New.Status != snapshot.StatusComplete; m = next("incident") {
	}
	if err := os.RemoveAll(filepath.Join(r.root, i.ID)); err != nil {
		t.Fatal(err)
	}
	if m := next("removed"); m.ID != i.ID {
		t.Errorf("removed %s", m.ID)
	}
}

// Who does not read is told how much was lost, and holds nobody up.
func TestSlowListener(t *testing.T) {
	l := newLive()
	one := l.join()
	for range maxUnread + 10 {
		l.tell(api.Live{Kind: "event"})
	}
	<-one.messages
	<-one.messages
	l.tell(api.Live{Kind: "event"})
	lost := 0
	for len(one.messages) > 0 {
		lost += (<-one.messages).Lost
	}
	if lost < 10 {
		t.Errorf("lost %d", lost)
	}
	for range maxListeners {
		l.join()
	}
	if l.join() != nil {
		t.Error("no bound")
	}
}

func TestExport(t *testing.T) {
	r := newRig(t, nil)
	secret := "topsecretvalue"
	st := deadlock(0)
	st.Groups[0].Frames[1].Arguments[0].Value = secret
	i := r.incident("web", st, func(i *snapshot.Incident) { i.Host = "hostname-of-mine" })
	at := api.Prefix + "incidents/" + i.ID + "/export?format="
	for format, ending := range map[string]string{"html": ".html", "markdown": ".md", "pprof": ".pb.gz", "text": ".txt", "json": ".json", "bundle": ".tar.zst"} {
		reply, text := r.do("GET", at+format, "", nil)
		if reply.StatusCode != http.StatusOK || !strings.HasSuffix(reply.Header.Get("Content-Disposition"), i.ID+ending+`"`) || len(text) < 50 {
			t.Errorf("%s: %d %v %.100s", format, reply.StatusCode, reply.Header, text)
		}
		reply, text = r.do("GET", at+format+"&share=1", "", nil)
		if reply.StatusCode != http.StatusOK || strings.Contains(text, secret) || strings.Contains(text, "hostname-of-mine") {
			t.Errorf("%s for others: %d, the secret is in it: %v", format, reply.StatusCode, strings.Contains(text, secret))
		}
	}
	r.refuses("GET", at+"doc", "", http.StatusBadRequest, nil)
	bare := r.incident("bare", nil, nil)
	r.refuses("GET", api.Prefix+"incidents/"+bare.ID+"/export?format=pprof", "", http.StatusNotFound, nil)
}

// What an incident holds cannot end the element that it stands in.
func TestExportedFileHoldsItsData(t *testing.T) {
	r := newRig(t, nil)
	evil := `</script><script>alert(1)</script><!--`
	st := deadlock(0)
	st.Groups[0].Frames[1].Function = evil
	i := r.incident("web", st, func(i *snapshot.Incident) { i.Sentence = evil })
	_, text := r.do("GET", api.Prefix+"incidents/"+i.ID+"/export?format=html", "", nil)
	if n := strings.Count(text, "<script"); n != 2 {
		t.Errorf("%d scripts", n)
	}
	if strings.Contains(text, "<!--") {
		t.Error("a comment begins in it")
	}
}

func TestReadOnly(t *testing.T) {
	for _, act := range []bool{false, true} {
		r := newRig(t, func(o *Options) { o.MayAct = act })
		want := http.StatusForbidden
		if act {
			want = http.StatusConflict // nothing runs
		}
		r.refuses("POST", api.Prefix+"now/ask", `{"verb":"stop","services":["web"]}`, want, nil)
		if n := get[api.Now](r, "now"); n.Why == "" {
			t.Errorf("%+v", n)
		}
	}
}

// What was said stands on the axis, at its time before the verdict.
func TestTimelineHasOutput(t *testing.T) {
	zero := time.Date(2026, 11, 25, 13, 0, 10, 0, time.UTC)
	var text strings.Builder
	text.WriteString("no time here\n")
	for n := range 600 {
		fmt.Fprintf(&text, "2026-11-25T13:00:%02d.500Z stdout line %d\n", n%10, n)
	}
	got := view.Timeline(&snapshot.Incident{Time: zero}, []snapshot.Moment{{Time: zero, Kind: "verdict", Text: "hang"}}, nil, []byte(text.String()))
	output := 0
	for n, m := range got.Moments {
		if n > 0 && m.At < got.Moments[n-1].At {
			t.Fatalf("%v after %v", m, got.Moments[n-1])
		}
		if m.Kind == "output" {
			output++
			if m.At < -9.5 || m.At > 0 || !strings.HasPrefix(m.Text, "stdout line ") {
				t.Errorf("%+v", m)
			}
		}
	}
	if output != 500 || len(got.Moments) != 501 {
		t.Errorf("%d lines of %d", output, len(got.Moments))
	}
}

// Each sign of life has a lane, a silence lasts from when it was seen last.
func TestTimelineHasALaneForEachSign(t *testing.T) {
	zero := time.Date(2026, 11, 25, 13, 0, 10, 0, time.UTC)
	samples := &snapshot.Samples{Every: 1, PressureOf: "service", SignsLeftOut: 3}
	const n = 10
	for i := range n {
		boot := time.Duration(i) * time.Second
		samples.Add(boot, zero.Add(boot-9*time.Second))
		samples.CPU, samples.Memory, samples.Threads, samples.Files = append(samples.CPU, 0), append(samples.Memory, 0), append(samples.Threads, 0), append(samples.Files, 0)
		samples.Measured, samples.Beats, samples.Silence = append(samples.Measured, false), append(samples.Beats, 0), append(samples.Silence, 0)
		samples.Lines, samples.Bytes, samples.State, samples.Probes = append(samples.Lines, 0), append(samples.Bytes, 0), append(samples.State, "running"), append(samples.Probes, "")
		samples.PressureCPU, samples.PressureMemory, samples.PressureIO = append(samples.PressureCPU, 0.5), append(samples.PressureMemory, 0), append(samples.PressureIO, 1)
		samples.Pressured = append(samples.Pressured, i%2 == 0)
	}
	samples.Signs = []snapshot.SignSamples{
		{Kind: "heartbeat", Name: "heartbeat", Marks: "oooooooooo"},
		{Kind: "activity", Name: "accept", Marks: "oo.xxo.xxx"},
		{Kind: "activity", Name: "cut", Marks: "o"},
	}
	got := view.Timeline(&snapshot.Incident{Time: zero}, []snapshot.Moment{{Time: zero, Boot: 10 * time.Second, Kind: "verdict", Text: "hang"}}, samples, nil)
	if len(got.Activities) != 2 || got.Activities[0].Name != "heartbeat" || len(got.Activities[0].Beats) != n || len(got.Activities[0].Gaps) != 0 {
		t.Fatalf("%+v", got.Activities)
	}
	accept := got.Activities[1]
	want := []api.Span{{From: -9, To: -6, Kind: "silence", Text: "missed for 3 s"}, {From: -5, To: 0, Kind: "silence", Text: "missed for 5 s"}}
	if accept.Name != "activity accept" || len(accept.Beats) != 3 || !slices.Equal(accept.Gaps, want) {
		t.Errorf("%+v", accept)
	}
	var names []string
	for _, s := range got.Series {
		names = append(names, s.Name)
		if s.Name == "processor pressure" && (*s.Values[0] != 0.5 || s.Values[1] != nil) {
			t.Errorf("%+v", s)
		}
	}
	if !slices.Contains(names, "disk pressure") {
		t.Errorf("series %q", names)
	}
	if text := strings.Join(got.Problems, " "); !strings.Contains(text, "3 further signs") || !strings.Contains(text, "marks") {
		t.Errorf("problems %q", text)
	}
	samples.Pressured = samples.Pressured[1:]
	if got := view.Timeline(&snapshot.Incident{Time: zero}, nil, samples, nil); len(got.Series) != 0 || len(got.Problems) != 1 {
		t.Errorf("columns that differ in length: %q", got.Problems)
	}
}

func TestOutputOfATime(t *testing.T) {
	r := newRig(t, nil)
	i := r.incident("web", deadlock(0), nil)
	text := "before any\n"
	for n := range 5 {
		text += i.Time.Add(time.Duration(n-4)*time.Second).Format(time.RFC3339Nano) + fmt.Sprintf(" stdout line %d\n", n)
	}
	text += "no time of its own\n"
	if err := os.WriteFile(filepath.Join(r.root, i.ID, snapshot.FileOutput), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query []string
		want  int
	}{
		{nil, 7}, {[]string{"from", "-2.5"}, 4}, {[]string{"from", "-2.5", "to", "-0.5"}, 2}, {[]string{"to", "-3.5"}, 1}, {[]string{"from", "-2.5", "q", "stdout"}, 3},
	} {
		got := get[api.Output](r, "incidents/"+i.ID+"/output", c.query...)
		if got.Total != c.want || len(got.Lines) != c.want || got.All != 7 {
			t.Errorf("%q: %d of %d lines: %+v", c.query, got.Total, got.All, got.Lines)
		}
	}
	r.refuses("GET", api.Prefix+"incidents/"+i.ID+"/output?from=soon", "", http.StatusBadRequest, nil)
}

// A process tells what its threads did between two looks, and what its sockets are.
func TestProcessView(t *testing.T) {
	now := time.Now()
	thread := func(tid int, cpu snapshot.Seconds, switches int64) snapshot.Thread {
		return snapshot.Thread{TID: tid, UserTime: cpu, Voluntary: switches}
	}
	before := &snapshot.Process{PID: 7, StartTicks: 1, Taken: now, Threads: []snapshot.Thread{thread(7, 1, 5), thread(8, 2, 9), thread(9, 3, 9)}}
	p := &snapshot.Process{PID: 7, StartTicks: 1, Taken: now.Add(2 * time.Second), Threads: []snapshot.Thread{thread(7, 1.5, 6), thread(8, 2, 9), thread(9, 1, 1), thread(10, 0, 1)},
		FDs: []snapshot.FD{{Number: 3, Target: "/tmp/x"}, {Number: 4, Target: "socket:[99]"}}}
	world := &snapshot.World{PID: 7, Sockets: []snapshot.Socket{{FD: 4, Local: "10.0.0.1:80", Remote: "10.0.0.2:5000", State: "ESTABLISHED", Retransmits: 2}}}
	got := view.Process(p, before, world)
	if got.Between != 2 || !slices.Equal(got.Deltas, []api.ThreadDelta{{TID: 7, CPU: 0.5, Voluntary: 1}, {TID: 8}}) {
		t.Errorf("%v: %+v", got.Between, got.Deltas)
	}
	if want := []api.Descriptor{{FD: 3, Text: "/tmp/x"}, {FD: 4, Text: "socket:[99]  tcp 10.0.0.1:80 -> 10.0.0.2:5000 ESTABLISHED, 2 retransmits"}}; !slices.Equal(got.Opened, want) {
		t.Errorf("%+v", got.Opened)
	}
	before.StartTicks = 2
	if got := view.Process(p, before, nil); got.Between != 0 || len(got.Deltas) != 0 || got.Opened[1].Text != "socket:[99]" {
		t.Errorf("of another process: %+v", got)
	}
}
