// Package api is the API of the browser of incidents: the types that its pages
// and `vigil browse` speak, and their version. JSON over HTTP; every path begins
// with Prefix. What the data model of an incident has already is used as it is.
//
// Nothing changes by GET. Each request carries the session's cookie, or the
// token as "Authorization: Bearer TOKEN". An answer that is not 2xx has an Error
// as its body.
package api

// Version is the version of the API; it stands in each answer's
// Vigil-Browser-Api header and in the paths. A new field does not raise it.
const Version = 1

// Prefix is the beginning of every path.
const Prefix = "/api/v1/"

// Paths below Prefix. ID is the whole id of an incident, INDEX of a group the
// one in Group.Index.
//
//	POST login                               Login -> 204 and a cookie
//	GET  about                               -> About
//	GET  incidents?QUERY                     -> Issues; see Issues for QUERY
//	GET  occurrences?fingerprint=F&QUERY     -> Occurrences
//	GET  incidents/ID                        -> Incident
//	GET  incidents/ID/stacks?by=&q=&offset=&limit=&idle=1  -> Stacks
//	GET  incidents/ID/groups/INDEX           -> GroupDetail
//	GET  incidents/ID/groups/INDEX/source?frame=N          -> SourceText
//	GET  incidents/ID/waits                  -> Waits
//	GET  incidents/ID/flame?idle=1           -> Flame
//	GET  incidents/ID/timeline               -> Timeline
//	GET  incidents/ID/process                -> ProcessView
//	GET  incidents/ID/world                  -> snapshot.World
//	GET  incidents/ID/tree                   -> snapshot.Tree
//	GET  incidents/ID/runtime                -> snapshot.RuntimeReport
//	GET  incidents/ID/output?q=&offset=&limit=             -> Output
//	GET  incidents/ID/compare?with=ID        -> Compare; with=captures: the two captures of this one
//	GET  incidents/ID/export?format=html|markdown|pprof|text|json|bundle[&share=1]  -> a file
//	PUT  services/NAME/normal                Normal -> 204
//	GET  now                                 -> Now
//	GET  live                                -> text/event-stream of Live
//	POST now/ask                             control.Ask -> []control.Result
//	POST now/snapshot                        control.Snapshot -> []control.SnapshotResult
//	POST now/reload                          -> control.Demanded
const _ = Prefix
