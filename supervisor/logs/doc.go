// Package logs captures what a service writes to its standard output and error.
//
// An Output belongs to a service and outlives its instances; an Instance has
// the tail of one run; a Reader empties one pipe. The path of a byte is short
// on purpose: the reader's goroutine only copies it to memory (the tail, the
// bounded queues of the file, of the followers and of the terminal), so that no
// disk, no terminal and no client can ever block the service. Whoever falls
// behind loses bytes, and the loss is counted and written down where it
// happened:
//
//	[vigil: dropped 1048576 bytes (10485 lines)]
//
// Nothing costs memory while a service is silent: buffers are pooled and taken
// only when there are bytes, goroutines that write exist only while there is
// something to write.
package logs
