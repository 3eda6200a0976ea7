package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/export"
)

// whole is an incident as one JSON object, as `vigil incidents show --json` has it.
type whole struct {
	Incident snapshot.Incident `json:"incident"`
	Stacks   *snapshot.Stacks  `json:"stacks,omitempty"`
	Process  *snapshot.Process `json:"process,omitempty"`
	Timeline []snapshot.Moment `json:"timeline,omitempty"`
	Output   string            `json:"output,omitempty"`
	Problems []string          `json:"problems,omitempty"`
}

// form is one way to write an incident to a file.
type form struct {
	kind, ending string
	write        func(s *Server, c *incidentCase, share bool, w io.Writer) error
}

var forms = map[string]form{
	"html": {"text/html; charset=utf-8", ".html", func(s *Server, c *incidentCase, share bool, w io.Writer) error {
		return s.writeHTML(w, c.full.Incident.ID, share)
	}},
	"markdown": {"text/markdown; charset=utf-8", ".md", func(_ *Server, c *incidentCase, _ bool, w io.Writer) error {
		return export.Markdown(w, c.full.Incident, c.full.Stacks)
	}},
	"pprof": {"application/octet-stream", ".pb.gz", func(_ *Server, c *incidentCase, _ bool, w io.Writer) error {
		if c.full.Stacks == nil {
			return errNoPart("stacks")
		}
		return export.Pprof(w, c.full.Incident, *c.full.Stacks)
	}},
	"text": {"text/plain; charset=utf-8", ".txt", func(_ *Server, c *incidentCase, _ bool, w io.Writer) error {
		if c.full.Stacks == nil {
			return errNoPart("stacks")
		}
		return export.Text(w, *c.full.Stacks)
	}},
	"json": {"application/json; charset=utf-8", ".json", func(_ *Server, c *incidentCase, _ bool, w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(whole{c.full.Incident, c.full.Stacks, c.full.Process, c.full.Timeline, string(c.full.Output), c.full.Problems})
	}},
	"bundle": {"application/zstd", ".tar.zst", writeBundle},
}

// maxExport bounds what is made in memory before the first byte is sent, so that
// a failure can still be told as one.
const maxExport = 256 << 20

// export answers GET export.
func (s *Server) export(w http.ResponseWriter, r *http.Request) {
	f, ok := forms[r.FormValue("format")]
	if !ok {
		failWith(w, badRequest("format is html, markdown, pprof, text, json or bundle, not %q", cut(r.FormValue("format"))))
		return
	}
	c, err := s.open(r.PathValue("id"))
	if err != nil {
		failWith(w, err)
		return
	}
	share := r.FormValue("share") == "1"
	if share {
		if c, err = s.shared(c); err != nil {
			failWith(w, err)
			return
		}
	}
	var b bounded
	if err := f.write(s, c, share, &b); err != nil {
		failWith(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fileName(c.full.Incident.ID)+f.ending))
	_, _ = w.Write(b.Bytes()) // who asked may be gone
}

// fileName keeps what every file system takes.
func fileName(id string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, id)
}

// bounded is a buffer with a limit.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxExport {
		return 0, fmt.Errorf("cannot export more than %d MiB", maxExport>>20)
	}
	return b.Buffer.Write(p)
}

// shared is a copy of an incident without what others must not see.
func (s *Server) shared(c *incidentCase) (*incidentCase, error) {
	out := &incidentCase{entry: c.entry}
	for _, one := range []struct{ from, to any }{
		{c.full, &out.full}, {c.world, &out.world}, {c.tree, &out.tree}, {c.runtime, &out.runtime},
	} {
		text, err := json.Marshal(one.from)
		if err == nil {
			err = json.Unmarshal(text, one.to)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot clean incident %s: %w", c.full.Incident.ID, err)
		}
	}
	out.samples = c.samples // figures alone
	if out.tree != nil {
		for i := range out.tree.Processes {
			p := &out.tree.Processes[i]
			if p.Stacks != nil {
				export.Share(&snapshot.Incident{}, p.Stacks, nil)
			}
		}
	}
	removed := export.Share(&out.full.Incident, out.full.Stacks, out.full.Process, &out.full.Timeline, &out.full.Problems, out.world, out.tree, out.runtime)
	out.full.Output = nil
	removed = append(removed, "the last output")
	for _, r := range removed {
		out.full.Problems = append(out.full.Problems, "Removed for sharing: "+r+".")
	}
	return out, nil
}

func writeBundle(_ *Server, c *incidentCase, share bool, w io.Writer) error {
	dir, err := c.entry.source.Reader.Dir(c.entry.ID)
	if err != nil {
		return err
	}
	if dir == "" {
		return badRequest("this incident comes from a bundle already")
	}
	var replace map[string]any
	if share {
		replace = map[string]any{snapshot.FileIncident: c.full.Incident}
		if c.full.Stacks != nil {
			replace[snapshot.FileStacks] = c.full.Stacks
		}
		if c.full.Process != nil {
			replace[snapshot.FileProcess] = c.full.Process
		}
	}
	return export.Bundle(w, dir, c.full.Incident.ID, c.full.Incident.Time, replace, share)
}
