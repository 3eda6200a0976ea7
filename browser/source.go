package browser

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of a source.
const (
	maxSource   = 2 << 20
	sourceLines = 5 // on each side
	maxCodeLine = 2000
)

// sources are the endings of files that are shown. An incident is not to be
// trusted: it must not be able to name any file of this machine.
var sources = []string{".go", ".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".rs", ".java", ".kt", ".scala", ".py", ".js", ".mjs", ".ts", ".s", ".S"}

// source answers GET groups/INDEX/source: the text around the line of a frame.
func source(c *incidentCase, r *http.Request) (any, error) {
	index, err := number(&http.Request{Form: url.Values{"index": {r.PathValue("index")}}}, "index", maxOffset)
	if err != nil {
		return nil, err
	}
	n, err := number(r, "frame", maxOffset)
	if err != nil {
		return nil, err
	}
	st := c.full.Stacks
	if st == nil || index >= len(st.Groups) || n >= len(st.Groups[index].Frames) {
		return nil, badRequest("there is no frame %d of group %d", n, index)
	}
	p := st.Groups[index].Frames[n].Place
	out := api.SourceText{File: p.File, Line: p.Line, Lines: []api.SourceLine{}, Link: linkOf(&c.full.Incident)(p)}
	lines, changed, err := readSource(p)
	if err != nil {
		out.Why = err.Error()
		return out, nil
	}
	out.Lines = lines
	if changed > c.full.Incident.Time.Unix() {
		out.Stale = "The file was changed after this incident: its lines may be others by now."
	}
	return out, nil
}

func readSource(p snapshot.Place) (lines []api.SourceLine, changed int64, err error) {
	if p.File == "" || p.Line <= 0 {
		return nil, 0, fmt.Errorf("it is not known where this function is written")
	}
	if !filepath.IsAbs(p.File) || path.Clean(p.File) != p.File || !slices.Contains(sources, path.Ext(p.File)) {
		return nil, 0, fmt.Errorf("%s is not the whole path of a source file", p.File)
	}
	f, err := os.OpenFile(p.File, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("the source is not on this machine: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxSource {
		return nil, 0, fmt.Errorf("%s is not a source file of at most %d MiB", p.File, maxSource>>20)
	}
	lines = []api.SourceLine{}
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, maxSource)
	for n := 1; scan.Scan() && n <= p.Line+sourceLines; n++ {
		if n >= p.Line-sourceLines {
			text := scan.Text()
			lines = append(lines, api.SourceLine{Number: n, Text: strings.ToValidUTF8(text[:min(len(text), maxCodeLine)], "\uFFFD")})
		}
	}
	if err := scan.Err(); err != nil {
		return nil, 0, fmt.Errorf("cannot read the source: %w", err)
	}
	if len(lines) == 0 {
		return nil, 0, fmt.Errorf("%s has fewer lines than %d: it is another version", p.File, p.Line)
	}
	return lines, info.ModTime().Unix(), nil
}

// hosts are sites whose addresses of a source are known.
var hosts = map[string]string{"github.com": "/blob/", "gitlab.com": "/-/blob/", "codeberg.org": "/src/commit/"}

// repository is the address of the module's repository, "" when it is not known.
func repository(i *snapshot.Incident) (base, blob string) {
	if i.Program == nil || i.Program.Revision == "" || !isRevision(i.Program.Revision) {
		return "", ""
	}
	module := i.Program.Module
	if n := strings.IndexAny(module, "@ "); n >= 0 {
		module = module[:n]
	}
	parts := strings.Split(module, "/")
	if len(parts) < 3 || hosts[parts[0]] == "" {
		return "", ""
	}
	for _, p := range parts[1:3] {
		if p == "" || p == "." || p == ".." || url.PathEscape(p) != p {
			return "", ""
		}
	}
	return "https://" + strings.Join(parts[:3], "/"), hosts[parts[0]]
}

func isRevision(r string) bool {
	return len(r) >= 7 && len(r) <= 64 && strings.Trim(r, "0123456789abcdef") == ""
}

func revisionLink(i *snapshot.Incident) string {
	base, _ := repository(i)
	if base == "" {
		return ""
	}
	return base + "/tree/" + i.Program.Revision
}

// majorVersion is the end of a module's path that is, as a rule, no directory.
var majorVersion = regexp.MustCompile(`^/v[1-9][0-9]*([./])`)

// linkOf makes links to the lines of the program's own module at the revision
// that was built. Where the module's root was on the building machine is not
// known; the function's package tells which part of the path belongs to it.
func linkOf(i *snapshot.Incident) func(snapshot.Place) string {
	base, blob := repository(i)
	return func(p snapshot.Place) string {
		if base == "" || p.File == "" || p.Line <= 0 {
			return ""
		}
		module := strings.TrimPrefix(base, "https://")
		file := path.Base(p.File)
		rest, ok := strings.CutPrefix(p.Function, module)
		if !ok || rest != "" && rest[0] != '/' && rest[0] != '.' { // another repository, whose name begins alike
			return ""
		}
		rest = majorVersion.ReplaceAllString(rest, "$1")
		dir := ""
		if strings.HasPrefix(rest, "/") {
			last := strings.LastIndexByte(rest, '/')
			dot := strings.IndexByte(rest[last:], '.')
			if dot < 0 {
				return ""
			}
			dir = rest[1 : last+dot]
		}
		u := url.URL{Path: path.Join(dir, file)}
		return fmt.Sprintf("%s%s%s/%s#L%d", base, blob, i.Program.Revision, u.EscapedPath(), p.Line)
	}
}
