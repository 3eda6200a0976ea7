// Package gotext reads the text in which Go's runtime prints goroutines: at a
// panic, at a fatal error, at SIGQUIT. It is what is left when there is no
// memory to read.
package gotext
