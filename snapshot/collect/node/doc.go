// Package node reads what a Node.js program says of itself, its diagnostic
// report, and the machine frames of its threads.
//
// The report is written by --report-on-signal. Node.js handles the signal in its
// event loop (lib/internal/process/report.js, v20), so a program whose loop is
// busy or blocked does not answer: that is a finding of its own, and then the
// machine's frames are all that there is.
package node
