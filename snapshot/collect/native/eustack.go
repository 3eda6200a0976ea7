package native

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of the text of a tool.
const (
	maxFrames   = 256
	maxFunction = 512
	maxPath     = 1024
	maxComplain = 3
)

// euFrames is the option of eu-stack(1) for the depth.
var euFrames = strconv.Itoa(maxFrames)

// eustack reads by eu-stack(1) of elfutils. Its exit status 1 is "some frames
// could not be read", 2 "none".
func (t *target) eustack(ctx context.Context) (*reading, error) {
	return runEUStack(ctx, "-p", strconv.Itoa(t.pid))
}

func runEUStack(ctx context.Context, source ...string) (*reading, error) {
	taken := time.Now()
	out, err := runTool(ctx, "eu-stack", append([]string{"-s", "-i", "-n", euFrames}, source...)...)
	if err != nil {
		return nil, err
	}
	r := &reading{source: SourceEUStack, taken: taken, threads: parseEUStack(out.text), partial: out.end(1), dump: out.text}
	complaints := out.complaints(maxComplain)
	r.notes = append(r.notes, complaints...)
	if len(r.threads) == 0 && len(complaints) > 0 {
		return nil, fmt.Errorf("cannot read stacks: %s", strings.Join(complaints, "; "))
	}
	return r, nil
}

// parseEUStack reads the text of eu-stack -s -i (elfutils 0.188): "TID n:", then
// for each frame "#n  0xPC function", and "    file:line:column" where known.
// An inlined function has the PC of the frame that it is in.
func parseEUStack(text []byte) []thread {
	var threads []thread
	var at *thread
	for raw := range bytes.Lines(text) {
		line := strings.TrimRight(string(raw), "\r\n")
		switch {
		case strings.HasPrefix(line, "TID "):
			at = nil
			tid, err := strconv.Atoi(strings.TrimSuffix(line[len("TID "):], ":"))
			if err == nil && tid > 0 && len(threads) < snapshot.MaxThreads {
				threads = append(threads, thread{tid: tid})
				at = &threads[len(threads)-1]
			}
		case at == nil:
		case strings.HasPrefix(line, "#"):
			at.addEU(line)
		case strings.HasPrefix(line, "    ") && len(at.frames) > 0 && !at.cut:
			f := &at.frames[len(at.frames)-1]
			f.File, f.Line = parsePlace(strings.TrimSpace(line))
		}
	}
	for i := range threads {
		markInlined(threads[i].frames)
	}
	return threads
}

func (t *thread) addEU(line string) {
	_, rest, _ := strings.Cut(line, " ")
	pc, name, _ := strings.Cut(strings.TrimSpace(rest), " ")
	at, err := strconv.ParseUint(pc, 0, 64)
	if err != nil {
		return
	}
	if len(t.frames) >= maxFrames {
		t.cut = true
		return
	}
	t.frames = append(t.frames, snapshot.Frame{PC: at, Place: snapshot.Place{Function: functionName(name)}})
	// At its limit eu-stack says on stderr only that it stopped.
	t.cut = len(t.frames) == maxFrames
}

// markInlined marks each frame that the next one contains.
func markInlined(frames []snapshot.Frame) {
	for i := range len(frames) - 1 {
		f, outer := &frames[i], frames[i+1]
		// A function that calls itself at one place has equal frames too.
		f.Inlined = f.Inlined || f.PC == outer.PC && f.PC != 0 && f.Place != outer.Place
	}
}

// functionName bounds a symbol and takes off its version, "poll@@GLIBC_2.2.5".
func functionName(name string) string {
	name = strings.TrimSpace(name)
	if i := strings.IndexByte(name, '@'); i > 0 {
		name = name[:i]
	}
	return clip(name, maxFunction)
}

// parsePlace reads "file:line" or "file:line:column"; the file may hold colons.
func parsePlace(s string) (file string, line int) {
	head, last, ok := cutLast(s, ':')
	n, err := strconv.Atoi(last)
	if !ok || err != nil || n < 0 {
		return clip(s, maxPath), 0
	}
	if file, middle, ok := cutLast(head, ':'); ok {
		if m, err := strconv.Atoi(middle); err == nil && m >= 0 {
			return clip(file, maxPath), m
		}
	}
	return clip(head, maxPath), n
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// clip bounds a text of others and makes it valid UTF-8.
func clip(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "?")
}
