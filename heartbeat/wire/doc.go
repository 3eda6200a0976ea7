// Package wire holds the formats in which a service tells that it is alive,
// and decoders that trust none of the bytes.
//
// The first format is sd_notify(3): a datagram of newline-separated
// assignments. Decode knows every assignment of systemd 258 and one of our
// own, X_VIGIL_BEAT, which carries the name of an activity, so that any
// sd_notify client library can send named beats.
//
// The second is a page of activities in memory that vigil shares with the
// service: a header and slots, each written by one thread of the service with
// atomic stores and read by vigil. Whatever a program scribbles over it is
// decoded to something harmless, or refused.
//
// The package does no I/O and reads no clock.
package wire
