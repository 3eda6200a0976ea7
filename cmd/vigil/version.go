package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/control"
)

// version is the version of this source.
const version = "0.1.0"

// build is what this binary was made of.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source; "+dirty" when it was changed
	Go       string `json:"go"`
	Platform string `json:"platform"`
	API      int    `json:"api"`
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, API: control.Version}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	if b.Revision != "" {
		b.Revision += dirty
	}
	return b
}

func (a *app) versionCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show the version",
		Long:    "Show the version, the revision of the source if it is known, and the version of the API.",
		Example: "  vigil version --json",
		Args:    noArguments,
		RunE: a.do(func(*cobra.Command, []string) error {
			b := thisBuild()
			if json {
				return a.printJSON(b)
			}
			text := "vigil " + b.Version
			if b.Revision != "" {
				text += " (" + b.Revision + ")"
			}
			_, err := fmt.Fprintf(a.out, "%s %s %s\n", text, b.Go, b.Platform)
			return err
		}),
	}
	cmd.Flags().BoolVar(&json, "json", false, "print an object")
	return cmd
}
