package native

import (
	"bytes"
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of the arguments of a frame that gdb shows.
const (
	maxArguments = 16
	maxValue     = 96
)

// gdb reads by gdb(1).
func (t *target) gdb(ctx context.Context) (*reading, error) {
	return runGDB(ctx, "-p", strconv.Itoa(t.pid))
}

func runGDB(ctx context.Context, source ...string) (*reading, error) {
	args := []string{
		"--batch", "-nx", // no .gdbinit
		"-iex", "set auto-load off", // no scripts of the libraries that are debugged
		"-iex", "set debuginfod enabled off",
		"-iex", "set print thread-events off",
		"-iex", "set print elements 64",
		"-ex", "thread apply all backtrace " + euFrames,
	}
	taken := time.Now()
	out, err := runTool(ctx, "gdb", append(args, source...)...)
	if err != nil {
		return nil, err
	}
	r := &reading{source: SourceGDB, taken: taken, threads: parseGDB(out.text), partial: out.end(0)}
	if len(r.threads) == 0 && r.partial == "" {
		r.partial = strings.Join(out.complaints(maxComplain), "; ")
	}
	return r, nil
}

var (
	// "Thread 5 (Thread 0x7f3cb70ac6c0 (LWP 2479) "dead"):"; without libthread_db
	// "Thread 1 (LWP 2473):" or "Thread 1 (process 2473):".
	gdbThread = regexp.MustCompile(`^Thread \d+ \(.*?(?:LWP|process) (\d+)\)?(?: "(.*)")?.*\):$`)
	gdbFrame  = regexp.MustCompile(`^#\d+ +(?:(0x[0-9a-f]+) in )?(.*)$`)
)

// parseGDB reads the text of "thread apply all backtrace" (gdb 13), highest
// thread first; the result is in the order of their numbers.
func parseGDB(text []byte) []thread {
	var threads []thread
	var at *thread
	for raw := range bytes.Lines(text) {
		line := strings.TrimRight(string(raw), "\r\n")
		switch {
		case strings.HasPrefix(line, "Thread "):
			at = nil
			m := gdbThread.FindStringSubmatch(line)
			if m == nil || len(threads) >= snapshot.MaxThreads {
				continue
			}
			if tid, err := strconv.Atoi(m[1]); err == nil && tid > 0 {
				threads = append(threads, thread{tid: tid, name: clip(m[2], 64)})
				at = &threads[len(threads)-1]
			}
		case at == nil:
		case strings.HasPrefix(line, "#"):
			at.addGDB(line)
		case strings.HasPrefix(line, "(More stack frames follow"):
			at.cut = true
		}
	}
	for i := range threads {
		placeInlined(threads[i].frames)
	}
	for i, j := 0, len(threads)-1; i < j; i, j = i+1, j-1 {
		threads[i], threads[j] = threads[j], threads[i]
	}
	return threads
}

func (t *thread) addGDB(line string) {
	m := gdbFrame.FindStringSubmatch(line)
	if m == nil {
		return
	}
	if len(t.frames) >= maxFrames {
		t.cut = true
		return
	}
	f := parseGDBFrame(m[2])
	f.PC, _ = strconv.ParseUint(m[1], 0, 64)
	t.frames = append(t.frames, f)
}

// parseGDBFrame reads "function (a=1, b=0x0) at file:line" or "... from library".
func parseGDBFrame(s string) snapshot.Frame {
	var f snapshot.Frame
	if i := strings.LastIndex(s, ") at "); i >= 0 {
		f.File, f.Line = parsePlace(s[i+len(") at "):])
		s = s[:i+1]
	} else if i := strings.LastIndex(s, ") from "); i >= 0 {
		s = s[:i+1]
	}
	open := openingBracket(s)
	if open < 0 {
		f.Function = functionName(s)
		return f
	}
	f.Function = functionName(s[:open])
	if f.Function == "??" {
		f.Function = ""
	}
	f.Arguments = parseArguments(s[open+1 : len(s)-1])
	return f
}

// openingBracket finds the bracket of the arguments, which end the text; values
// may hold brackets, and strings of the program may hold anything.
func openingBracket(s string) int {
	if !strings.HasSuffix(s, ")") {
		return -1
	}
	depth, quoted := 0, false
	for i := len(s) - 1; i >= 0; i-- {
		switch c := s[i]; {
		case c == '"' && (i == 0 || s[i-1] != '\\'):
			quoted = !quoted
		case quoted:
		case c == ')':
			depth++
		case c == '(':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	if i := strings.Index(s, " ("); i >= 0 {
		return i + 1 // the quotes are not balanced
	}
	return -1
}

// parseArguments reads "a=1, s=0x4 \"x, y\"", secrets masked by their names.
func parseArguments(s string) []snapshot.Variable {
	var list []snapshot.Variable
	for len(s) > 0 && len(list) < maxArguments {
		var one string
		one, s = cutArgument(s)
		name, value, ok := strings.Cut(one, "=")
		if !ok {
			continue
		}
		v := snapshot.Variable{Name: clip(strings.TrimSpace(name), 128), Value: clip(snapshot.MaskURLs(value), maxValue)}
		switch {
		case snapshot.LooksSecret(v.Name):
			v.Value, v.Masked = snapshot.Mask, true
		case value == "<optimized out>":
			v.Value, v.Error = "", "optimized out"
		}
		list = append(list, v)
	}
	return list
}

// cutArgument cuts at the first ", " that is in no string and no brace.
func cutArgument(s string) (one, rest string) {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case strings.IndexByte("({[<", c) >= 0:
			depth++
		case strings.IndexByte(")}]>", c) >= 0:
			depth--
		case c == ',' && depth <= 0:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// placeInlined gives the frames that gdb shows without a PC that of the frame
// around them: they are inlined, or the innermost at the start of a line.
func placeInlined(frames []snapshot.Frame) {
	for i := len(frames) - 2; i >= 0; i-- {
		if frames[i].PC == 0 {
			frames[i].PC = frames[i+1].PC
			frames[i].Inlined = i > 0 && frames[i].PC != 0
		}
	}
}
