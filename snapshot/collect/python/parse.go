package python

import (
	"bytes"
	"path"
	"strconv"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Words of faulthandler (CPython 3.3 to 3.14, Python/traceback.c).
var (
	header  = []byte("Thread 0x")
	current = []byte("Current thread 0x")
)

const (
	recent     = "(most recent call first):"
	maxThreads = 4096
	maxFrames  = 256
	maxName    = 512
)

// thread is one thread of a report.
type thread struct {
	self    uint64 // pthread_self(3), from faulthandler
	tid     int    // from memory
	name    string // since 3.14
	current bool   // it handled the signal
	frames  []snapshot.Frame
	cut     bool
}

// parse reads a report; more says that faulthandler left threads out: it prints
// at most 100, then "...". Lines of the program in between are skipped.
func parse(text []byte) (threads []thread, more bool) {
	var at *thread
	for raw := range bytes.Lines(text) {
		line := strings.TrimRight(string(raw), "\r\n")
		switch {
		case strings.HasSuffix(line, recent) && (strings.HasPrefix(line, string(header)) || strings.HasPrefix(line, string(current))):
			at = nil
			if one, ok := parseHeader(line); ok && len(threads) < maxThreads {
				threads = append(threads, one)
				at = &threads[len(threads)-1]
			}
		case line == "...":
			more, at = true, nil
		case at == nil:
		case line == "  ...":
			at.cut = true
		case strings.HasPrefix(line, "  File "):
			at.add(line)
		case line == "":
			at = nil
		}
	}
	return threads, more
}

// parseHeader reads "Thread 0x00007f [name] (most recent call first):".
func parseHeader(line string) (thread, bool) {
	one := thread{current: strings.HasPrefix(line, string(current))}
	_, rest, _ := strings.Cut(line, " 0x")
	if !one.current {
		rest = strings.TrimPrefix(line, string(header))
	}
	word, rest, _ := strings.Cut(rest, " ")
	self, err := strconv.ParseUint(word, 16, 64)
	if err != nil {
		return thread{}, false
	}
	one.self = self
	rest = strings.TrimSpace(strings.TrimSuffix(rest, recent))
	if strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]") {
		one.name = clip(rest[1 : len(rest)-1])
	}
	return one, true
}

// add reads `  File "x.py", line 12 in f`; "<invalid frame>" and "???" stay as
// they are.
func (t *thread) add(line string) {
	if len(t.frames) >= maxFrames {
		t.cut = true
		return
	}
	rest := strings.TrimPrefix(line, "  File ")
	i := strings.LastIndex(rest, ", line ")
	if i < 0 {
		return
	}
	number, function, ok := strings.Cut(rest[i+len(", line "):], " in ")
	n, err := strconv.Atoi(number)
	if !ok || err != nil && number != "???" || n < 0 {
		return
	}
	file := strings.TrimSuffix(strings.TrimPrefix(rest[:i], `"`), `"`)
	t.frames = append(t.frames, snapshot.Frame{Place: snapshot.Place{Function: clip(function), File: clip(file), Line: n}})
}

func clip(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxName)], "?")
}

// waitsIn says for what a thread waits whose innermost frame is a function of
// Python's library.
var waitsIn = map[string]string{
	"threading.py wait": "condition", "threading.py _wait_for_tstate_lock": "join", "threading.py join": "join", "threading.py _shutdown": "join",
	"threading.py acquire": "semaphore", "threading.py __enter__": "lock", "queue.py get": "queue", "queue.py put": "queue",
	"selectors.py select": "poll", "socket.py accept": "accept", "socket.py readinto": "read", "ssl.py read": "read", "ssl.py recv": "read",
	"ssl.py do_handshake": "read", "socket.py create_connection": "connect", "socketserver.py serve_forever": "poll", "socket.py getaddrinfo": "name service",
	"subprocess.py _try_wait": "child", "subprocess.py _communicate": "child", "popen_fork.py poll": "child",
	"connection.py _recv": "read", "connection.py _send": "write", "thread.py _worker": "queue",
}

// reason says for what a thread waits, "" when it does not tell.
func reason(frames []snapshot.Frame, kernel string) string {
	if len(frames) > 0 {
		// Memory tells the qualified name, "Condition.wait".
		function := frames[0].Function[strings.LastIndexByte(frames[0].Function, '.')+1:]
		if r, ok := waitsIn[path.Base(frames[0].File)+" "+function]; ok {
			return r
		}
	}
	if kernel == "futex" {
		return "lock" // of Python or of a library: CPython's locks are futexes
	}
	return kernel
}

// idle says why a thread waits for work by nature.
func idle(frames []snapshot.Frame, reason string) string {
	switch {
	case reason == "accept":
		return "waits for connections"
	case reason == "poll" && len(frames) > 1 && (path.Base(frames[1].File) == "base_events.py" || path.Base(frames[1].File) == "socketserver.py"):
		return "waits for events"
	case len(frames) > 0 && path.Base(frames[0].File) == "thread.py" && frames[0].Function == "_worker":
		return "a worker of a pool that waits for work"
	}
	return ""
}
