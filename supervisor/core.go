package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// foundCore is a core file that the kernel wrote, or why there is none.
type foundCore struct{ path, missing string }

// corePatternFile is machine-wide: vigil reads it and never writes it, core(5).
const corePatternFile = "/proc/sys/kernel/core_pattern"

// findCore looks for the core of a process where the kernel puts it: the
// pattern below the process's own working directory. Which process it belongs
// to is checked by the analysis, from the notes in the core.
func findCore(dir string, pid int, comm string, notBefore time.Time) foundCore {
	b, err := os.ReadFile(corePatternFile)
	if err != nil {
		return foundCore{missing: "core: cannot read the machine's core_pattern: " + err.Error()}
	}
	pattern := strings.TrimSpace(string(b))
	if strings.HasPrefix(pattern, "|") || strings.HasPrefix(pattern, "@") {
		return foundCore{missing: "core: the machine hands cores to " + strings.TrimLeft(pattern, "|@") + " (kernel.core_pattern), not to the working directory; ask there"}
	}
	usesPID, _ := os.ReadFile("/proc/sys/kernel/core_uses_pid")
	if strings.TrimSpace(string(usesPID)) == "1" && !strings.Contains(pattern, "%p") {
		pattern += ".%p"
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(escapeGlob(dir), pattern)
	}
	paths, err := filepath.Glob(expandCorePattern(pattern, pid, comm))
	if err != nil {
		return foundCore{missing: "core: cannot look for " + pattern + ": " + err.Error()}
	}
	for _, p := range paths {
		info, err := os.Lstat(p)
		if err == nil && info.Mode().IsRegular() && !info.ModTime().Before(notBefore) {
			return foundCore{path: p}
		}
	}
	return foundCore{missing: fmt.Sprintf("core: the kernel dumped one, but none is at %s (directory not writable, or taken by somebody else)", pattern)}
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// expandCorePattern turns the template of core(5) into a glob: what is known is
// put in, everything else matches anything.
func expandCorePattern(pattern string, pid int, comm string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '%' || i+1 == len(pattern) {
			b.WriteByte(pattern[i])
			continue
		}
		i++
		switch pattern[i] {
		case '%':
			b.WriteByte('%')
		case 'p':
			b.WriteString(strconv.Itoa(pid))
		case 'e':
			b.WriteString(escapeGlob(comm[:min(len(comm), 15)]) + "*")
		default:
			b.WriteByte('*')
		}
	}
	return b.String()
}
