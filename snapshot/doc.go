// Package snapshot is the data model of an incident: what is kept when a
// service hangs, crashes or ends, and in which words.
//
// An incident is one directory. Its files, all JSON unless said, are:
//
//	incident.json  Incident: the manifest, written last; its presence makes the incident complete
//	stacks.json    Stacks: goroutines grouped by stack, or threads
//	process.json   Process: the process and its threads as /proc showed them
//	timeline.json  []Moment: what happened before, oldest first
//	output.txt     the last output of that instance, as text
//	world.json     World: sockets, peers, counters and pressure around it
//	tree.json      Tree: the other processes of the service, with their stacks
//	runtime.json   RuntimeReport: what the runtime says of itself: heap, safepoint
//	dump.txt       the text in which the runtime printed its stacks, as it came
//	samples.json   Samples: the last minutes, one sample a second
//	suspect.json   Process: what light evidence showed when it was first late
//	capture.json   Capture: what the capture helper did, and what is missing
//	exe            a copy of the executable, only when the one on disk was replaced
//	core           the ELF core, only while it is being analysed or when keep_core is set
//
// The package does no I/O. A model read back from a store, made from a live
// process or from a core is the same type.
package snapshot

// SchemaVersion is the version of all types of this package. It goes up when a
// field changes its meaning; a new field does not raise it.
const SchemaVersion = 1

// Names of the files of an incident directory.
const (
	FileIncident = "incident.json"
	FileStacks   = "stacks.json"
	FileProcess  = "process.json"
	FileTimeline = "timeline.json"
	FileOutput   = "output.txt"
	FileSuspect  = "suspect.json"
	FileCapture  = "capture.json"
	FileCore     = "core"
	FileExe      = "exe"
	FileWorld    = "world.json"
	FileTree     = "tree.json"
	FileRuntime  = "runtime.json"
	FileDump     = "dump.txt"
	FileSamples  = "samples.json"
)
