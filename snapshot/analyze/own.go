package analyze

import (
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Own reports whether a function belongs to the program itself or to a library
// of it, and not to its language's runtime or standard library. The shape of the
// name tells the language.
//
// Go: the first element of the import path has a dot, or the package is main.
// JVM (package.Class.method): not of java, javax, jdk, sun, com.sun, kotlin or
// scala. Native: neither a name of libc, its threads or the loader, nor of the
// standard libraries of C++ and Rust.
func Own(function string) bool {
	if strings.HasPrefix(function, "main.") {
		return true
	}
	if name, ok := strings.CutPrefix(function, "C."); ok { // so Delve marks C
		return ownNative(name)
	}
	if strings.Contains(function, "::") {
		return ownNative(function)
	}
	if path, rest, deep := cutLast(function, "/"); deep {
		if isModule(path) {
			return ownJVM(rest)
		}
		return ownGo(function)
	}
	pkg, rest, dotted := strings.Cut(function, ".")
	clone, _, _ := strings.Cut(rest, ".")
	switch {
	case !dotted, optimiserClones[clone]:
		return ownNative(function)
	case goStandard[pkg]:
		return false
	}
	return ownJVM(function)
}

// ownGo judges an import path, up to the last slash, then package.symbol.
func ownGo(function string) bool {
	first, _, _ := strings.Cut(function, "/")
	return strings.Contains(first, ".") && !strings.HasPrefix(function, "golang.org/x/")
}

// isModule reports whether what stands before the class is a module or loader of
// a JVM: "java.base@17.0.2", "app/".
func isModule(path string) bool {
	return strings.Contains(path, "@") || strings.HasSuffix(path, "/") ||
		strings.HasPrefix(path, "java.") || strings.HasPrefix(path, "jdk.") || path == "app"
}

func ownJVM(function string) bool {
	class, _, ok := cutLast(function, ".")
	if !ok {
		return false
	}
	if _, name, packaged := cutLast(class, "."); packaged {
		class = name
	}
	if class == "" || !(class[0] >= 'A' && class[0] <= 'Z' || class[0] == '$') {
		return false
	}
	for _, p := range [...]string{"java.", "javax.", "jdk.", "sun.", "com.sun.", "kotlin.", "kotlinx.coroutines.", "scala."} {
		if strings.HasPrefix(function, p) {
			return false
		}
	}
	return true
}

func ownNative(function string) bool {
	name, _, _ := strings.Cut(function, "+")
	name, _, _ = strings.Cut(name, "@")
	if name == "" || name[0] == '_' || !isLetter(name[0]) {
		return false
	}
	for _, p := range [...]string{"pthread_", "std::", "core::", "alloc::", "futex", "libc_", "gsignal", "epoll_", "ld_", "clone", "Py", "uv_", "v8::", "node::"} {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	return !libc[name]
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// libc are the functions of the C library in which threads stand.
var libc = set("start_thread", "syscall", "abort", "raise", "read", "write", "readv", "writev", "pread", "pread64", "pwrite", "pwrite64",
	"poll", "ppoll", "select", "pselect", "nanosleep", "clock_nanosleep", "sleep", "usleep", "accept", "accept4", "connect", "recv",
	"recvfrom", "recvmsg", "send", "sendto", "sendmsg", "wait", "wait4", "waitpid", "waitid", "sigwait", "sigwaitinfo", "sigtimedwait",
	"pause", "fsync", "fdatasync", "open", "open64", "openat", "close", "ioctl", "flock", "lockf", "fcntl", "fcntl64", "sem_wait",
	"sem_timedwait", "mq_receive", "io_getevents", "malloc", "free", "calloc", "realloc", "memcpy", "memset", "strlen", "main_arena",
	"getaddrinfo", "exit", "kill", "tgkill", "msgrcv", "semop", "lll_lock_wait", "thrd_join", "mtx_lock", "cnd_wait")

// optimiserClones are the suffixes of functions that a C compiler split or copied.
var optimiserClones = set("constprop", "part", "isra", "cold", "lto_priv", "llvm")

// goStandard are the packages of Go's standard library without a slash; those
// with one have no dot in their first element.
var goStandard = set("archive", "bufio", "builtin", "bytes", "cmp", "context", "crypto", "embed", "encoding", "errors", "expvar", "flag",
	"fmt", "hash", "html", "image", "io", "iter", "log", "maps", "math", "mime", "net", "os", "path", "plugin", "reflect", "regexp",
	"runtime", "slices", "sort", "strconv", "strings", "structs", "sync", "syscall", "testing", "time", "type:", "unicode", "unique", "unsafe",
	"weak")

func set(names ...string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		out[n] = true
	}
	return out
}

// cutLast cuts at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// ownPlace judges by the file where the name does not tell: Python and Node.
func ownPlace(p snapshot.Place) bool {
	switch {
	case strings.HasSuffix(p.File, ".py"):
		return !strings.Contains(p.File, "/lib/python") || strings.Contains(p.File, "-packages/")
	case strings.HasPrefix(p.File, "node:") || strings.HasPrefix(p.File, "<frozen"):
		return false
	case strings.HasSuffix(p.File, ".js"), strings.HasSuffix(p.File, ".mjs"), strings.HasSuffix(p.File, ".ts"):
		return p.Function != ""
	}
	return Own(p.Function)
}

// OwnFrame returns the innermost frame of the program's own code.
func OwnFrame(frames []snapshot.Frame) (snapshot.Frame, bool) {
	for _, f := range frames {
		if ownPlace(f.Place) {
			return f, true
		}
	}
	return snapshot.Frame{}, false
}
