// Package golang reads the goroutines of a Go program out of a core, with Delve.
//
// It never attaches to a live process: native.Attach of Delve v1.27.2 writes
// breakpoints into the target's code. Delve writes to os.Stderr by itself, so
// the process that calls Collect must own its stderr, and should be one that
// may be killed: a bad core can cost memory and time.
package golang
