// Package export puts an incident into the forms in which others read it: the
// text of a runtime's own traceback, a profile for `go tool pprof`, Markdown for
// a bug tracker, and a bundle of all its files.
package export
