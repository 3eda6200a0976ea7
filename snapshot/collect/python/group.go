package python

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/collect/native"
)

// stacks draws the report and what /proc showed together.
func (c *collector) stacks(threads []thread, tasks []native.Task, more bool) *snapshot.Stacks {
	out := &snapshot.Stacks{Schema: snapshot.SchemaVersion, PID: c.opt.PID, Runtime: Runtime, Source: Source, Total: len(threads), Unwound: len(threads)}
	byKey := map[string]int{}
	for _, th := range threads {
		g, m := c.group(th, tasks)
		key := fmt.Sprint(g.Status, g.WaitReason, g.Cut)
		for _, f := range g.Frames {
			key += fmt.Sprintf("|%s:%d %s", f.File, f.Line, f.Function)
		}
		i, ok := byKey[key]
		if !ok {
			i = len(out.Groups)
			byKey[key] = i
			out.Groups = append(out.Groups, g)
		}
		to := &out.Groups[i]
		to.Count++
		to.IDs = append(to.IDs, m.ID)
		to.Members = append(to.Members, m)
	}
	slices.SortStableFunc(out.Groups, func(a, b snapshot.Group) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return b.Count - a.Count
	})
	if more {
		out.Total = max(len(tasks), len(threads))
		out.Notes = append(out.Notes, "faulthandler prints at most 100 threads: there are more (the total is that of the operating system's threads)")
	}
	return out
}

func rank(g snapshot.Group) int {
	switch {
	case g.WaitReason == "lock":
		return 0
	case g.Idle != "":
		return 2
	}
	return 1
}

func (c *collector) group(th thread, tasks []native.Task) (snapshot.Group, snapshot.Member) {
	m := snapshot.Member{ID: int64(th.self), Name: th.name}
	g := snapshot.Group{Frames: th.frames, Cut: th.cut}
	tid := th.tid
	if tid == 0 {
		tid = native.OfPthread(c.opt.PID, th.self, tasks)
	}
	if i := slices.IndexFunc(tasks, func(k native.Task) bool { return k.TID == tid }); i >= 0 {
		m.ID, m.TID = int64(tid), tid
		k := tasks[i]
		g.Status, g.WaitReason = k.Status, k.Wait
		if m.Name == "" {
			m.Name = k.Name
		}
	}
	g.Sample = m.ID
	if g.Status != "running" {
		g.WaitReason = reason(th.frames, g.WaitReason)
	}
	if g.Status == "" && g.WaitReason != "" {
		g.Status = "waiting"
	}
	g.Idle = idle(th.frames, g.WaitReason)
	if n := len(th.frames); n > 0 {
		// threading's own frames are outside of the function of a thread.
		i := n - 1
		for i > 0 && strings.HasSuffix(th.frames[i].File, "/threading.py") {
			i--
		}
		start := th.frames[i].Place
		g.Start = &start
	}
	return g, m
}

var pythonVersion = regexp.MustCompile(`(?:/|lib)python(\d\.\d+)`)

// version is what the names of the executable and its library tell: "3.11".
func version(pid int) string {
	target, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	if m := pythonVersion.FindAllStringSubmatch(target, -1); m != nil {
		return m[len(m)-1][1]
	}
	return ""
}
