// Package web is the built pages of the browser of incidents. They are built from
// src by scripts/web.sh and committed, so that a build of vigil needs nothing but
// Go; scripts/check.sh holds that they are fresh.
package web

import (
	"embed"
	"io/fs"
)

//go:embed dist
var dist embed.FS

// Files has index.html, app.js, app.css and icon.svg.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a constant
	}
	return files
}
