// Package store keeps incidents: one directory each, in <state>/incidents.
//
// # Life of an incident
//
// Begin prepares a hidden directory with a marker file, "writing", and renames
// it to its id, so that no visible directory is without a marker. Evidence is
// written into it. Pending renames the marker to "pending": the evidence is
// safe and the service may be restarted. Complete makes every file durable,
// writes incident.json as the last one, and removes the marker. incident.json
// alone makes an incident complete: a marker beside it was left by a process
// that died in between and means nothing.
//
// A process that dies leaves incidents with a marker. Recover, called by the
// process that owns the store now, lists them; Resume goes on with one, and
// Abandon completes it as partial and says why.
//
// # A full disk
//
// Every incident holds a reserve of ReserveBytes, allocated by Begin, and
// given back by Complete just before it writes incident.json. Evidence that
// fills the disk can so still be listed, and says what is missing. A disk that
// has not even that room refuses Begin, which then leaves nothing behind.
//
// # Bounds
//
// Prune removes by a Policy: large files of old incidents first, then incidents.
// An incident that lost a file says so in its manifest, which is rewritten before
// the file goes.
//
// # Who may call
//
// Any number of processes begin and complete incidents of their own, and any number
// read, also without a supervisor. Prune and SetPinned hold a lock on the directory,
// flock(2), and wait a bounded time for another's. Recover is for one process: the
// supervisor that holds the epoch. Directories are 0700, files 0600.
//
// Hidden names belong to the store: ".new-ID" is an incident that is being
// begun, ".removed-ID" one that is being removed, ".reserve" the reserve, ".index" a
// cache of what lists show, which counts only while a manifest has not changed since.
package store
