// Package protocol is what keeper and supervisor say to each other.
//
// They speak over one stream socket pair made by the keeper. Every message is
// a frame: a header of 32 bytes in network byte order, then a JSON body.
//
//	0  uint16 magic 0x5647
//	2  uint8  version of the protocol
//	3  uint8  type
//	4  uint32 length of the body, at most MaxBody
//	8  uint64 id: a reply carries the id of its request; an event its sequence number
//	16 uint64 epoch of the sender's request; 0 before a Welcome
//	24 uint8  number of descriptors that travel with the frame, at most MaxFiles
//	25 7 bytes, zero
//
// Descriptors travel as SCM_RIGHTS with the first byte of the header.
//
// The supervisor asks, the keeper answers each request exactly once (with
// Reply, or with the type named at the request), and reports Events with
// rising sequence numbers until they are acknowledged. A request whose epoch
// is not the newest granted one is refused with ErrFenced: two supervisors may
// be alive for a moment, only one can act.
package protocol

// Version of the protocol. A keeper refuses a Hello of another version.
const Version = 1

// Bounds of a frame.
const (
	HeaderSize = 32
	MaxBody    = 4 << 20
	MaxFiles   = 16
	magic      = 0x5647
)

// SocketFD is the descriptor number on which a supervisor finds its socket.
const SocketFD = 3
