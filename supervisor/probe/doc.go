// Package probe asks a service whether it works: by a program, a TCP
// connection, an HTTP request, or a write to a ZooKeeper server. It runs single
// attempts and says what was seen; what follows from that is judged elsewhere.
//
// Whatever is asked may hang, lie or flood. Each attempt ends with its context,
// reads a bounded amount, and leaves nothing behind.
package probe
