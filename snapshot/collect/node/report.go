package node

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of what is taken of a report.
const (
	maxFrames  = 128
	maxText    = 512
	maxHandles = 32
)

// report is a diagnostic report (nodejs.org/api/report.html, version 3 to 5). Its
// environment is not read: it is full of secrets.
type report struct {
	Header struct {
		NodejsVersion string `json:"nodejsVersion"`
	} `json:"header"`
	JavascriptStack struct {
		Message string   `json:"message"`
		Stack   []string `json:"stack"`
	} `json:"javascriptStack"`
	JavascriptHeap map[string]json.RawMessage `json:"javascriptHeap"`
	NativeStack    []struct {
		PC     string `json:"pc"`
		Symbol string `json:"symbol"`
	} `json:"nativeStack"`
	Libuv   []handle          `json:"libuv"`
	Workers []json.RawMessage `json:"workers"`
}

// handle is one handle of libuv.
type handle struct {
	Type       string `json:"type"`
	Active     bool   `json:"is_active"`
	Referenced bool   `json:"is_referenced"`
}

func parse(text []byte) (*report, error) {
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("cannot read the report of Node.js: %w", err)
	}
	return &r, nil
}

// describe fills in heap and handles.
func (r *report) describe(out *snapshot.RuntimeReport) {
	out.Version = clip(r.Header.NodejsVersion)
	for _, name := range []string{"usedMemory", "totalCommittedMemory", "memoryLimit", "externalMemory", "mallocedMemory"} {
		// Only numbers: the value is what another program wrote.
		if n, err := strconv.ParseUint(string(r.JavascriptHeap[name]), 10, 64); err == nil {
			out.Heap = append(out.Heap, fmt.Sprintf("%s %d bytes", name, n))
		}
	}
	out.Heap = append(out.Heap, r.spaces()...)
	out.Notes = append(out.Notes, r.handles()...)
	if n := len(r.Workers); n > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%d worker threads", n))
	}
}

// spaces are the parts of the heap.
func (r *report) spaces() []string {
	var spaces map[string]struct {
		Used     float64 `json:"used"`
		Capacity float64 `json:"capacity"`
	}
	if json.Unmarshal(r.JavascriptHeap["heapSpaces"], &spaces) != nil {
		return nil
	}
	var lines []string
	for name, s := range spaces {
		if s.Used > 0 && len(lines) < maxHandles {
			lines = append(lines, fmt.Sprintf("%s: %.0f of %.0f bytes used", clip(name), s.Used, s.Capacity))
		}
	}
	slices.Sort(lines)
	return lines
}

// handles counts those of libuv that keep the event loop alive.
func (r *report) handles() []string {
	count := map[string]int{}
	for _, h := range r.Libuv {
		if h.Active && h.Referenced && h.Type != "loop" && len(count) < maxHandles {
			count[clip(h.Type)]++
		}
	}
	if len(r.Libuv) > 0 && len(count) == 0 {
		return []string{"libuv: no handle keeps the event loop alive"}
	}
	var lines []string
	for kind, n := range count {
		lines = append(lines, fmt.Sprintf("libuv: %d active %s", n, kind))
	}
	slices.Sort(lines)
	return lines
}

// merge puts the frames of JavaScript before those of the machine; without any,
// those of the report stand.
func (r *report) merge(stacks *snapshot.Stacks, pid int) *snapshot.Stacks {
	if stacks == nil {
		stacks = &snapshot.Stacks{Schema: snapshot.SchemaVersion, PID: pid, Runtime: Runtime, Source: Source, Notes: []string{
			"only the main thread, in the moment of its report",
		}}
		if frames := r.native(); len(frames) > 0 {
			stacks.Groups = append(stacks.Groups, group(pid, frames))
			stacks.Total, stacks.Unwound = 1, 1
		}
	}
	if frames := r.javascript(); len(frames) > 0 {
		stacks.Groups = append([]snapshot.Group{group(pid, frames)}, stacks.Groups...)
		stacks.Notes = append(stacks.Notes, "the first group is the main thread in the words of JavaScript, from the report of Node.js")
	} else {
		stacks.Notes = append(stacks.Notes, "no JavaScript was on the main thread's stack when its event loop wrote the report")
	}
	return stacks
}

func group(pid int, frames []snapshot.Frame) snapshot.Group {
	id := int64(pid)
	return snapshot.Group{
		Count: 1, Status: "running", IDs: []int64{id}, Sample: id, Frames: frames, Cut: len(frames) == maxFrames,
		Members: []snapshot.Member{{ID: id, TID: pid}},
	}
}

// javascript reads the lines "at f (file:line:column)" and "at file:line:column".
func (r *report) javascript() []snapshot.Frame {
	var frames []snapshot.Frame
	for _, line := range r.JavascriptStack.Stack {
		if len(frames) == maxFrames {
			break
		}
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "at ")
		if !ok {
			continue
		}
		frames = append(frames, snapshot.Frame{Place: parsePlace(text)})
	}
	return frames
}

func parsePlace(text string) snapshot.Place {
	where := text
	p := snapshot.Place{}
	if open := strings.Index(text, " ("); open >= 0 && strings.HasSuffix(text, ")") {
		p.Function, where = clip(text[:open]), text[open+2:len(text)-1]
	}
	// The column is last.
	if i := strings.LastIndexByte(where, ':'); i >= 0 {
		if j := strings.LastIndexByte(where[:i], ':'); j >= 0 {
			if n, err := strconv.Atoi(where[j+1 : i]); err == nil && n >= 0 {
				where, p.Line = where[:j], n
			}
		}
	}
	p.File = clip(where)
	if p.Function == "" {
		p.Function = path.Base(p.File)
	}
	return p
}

// native reads the frames of the machine, "symbol [file]".
func (r *report) native() []snapshot.Frame {
	var frames []snapshot.Frame
	for _, f := range r.NativeStack {
		if len(frames) == maxFrames {
			break
		}
		pc, err := strconv.ParseUint(f.PC, 0, 64)
		if err != nil {
			continue
		}
		name := strings.TrimSpace(f.Symbol)
		if i := strings.LastIndex(name, " ["); i > 0 {
			name = name[:i]
		}
		frames = append(frames, snapshot.Frame{PC: pc, Place: snapshot.Place{Function: clip(name)}})
	}
	return frames
}

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxText)], "?") }
