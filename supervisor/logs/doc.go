// Package logs captures what a service writes to its standard output and error.
//
// An Output belongs to a service and outlives its instances; an Instance has
// the tail of one run; a Reader empties one pipe. The path of a byte is short
// on purpose: the reader's goroutine only brings it to memory (the chunks that
// wait for the file, the tail, the bounded queues of followers and terminal), so
// that no disk, no terminal and no client can block the service. A disk that
// works but is slow is waited for, once per gap and for no longer than
// Options.Patience. Whoever falls behind loses the oldest bytes, and the loss is
// counted and written down where it happened:
//
//	[vigil: dropped 1048576 bytes (10485 lines)]
//
// # A kill costs no line
//
// With the Buffers of Attach the chunks lie in memory that another process holds
// too. Each has a record of words that are stored when they are true: how far it
// was read and written, and which read and which write are under way. A read is
// asked for no more bytes than there are, and its place is filled beforehand with
// bytes that no text has, so a successor sees whether it happened; how far a
// write has come it sees by the size of the file. Duplicating the pipe by tee(2)
// instead was measured to be 10 % faster and cannot do it: a successor could not
// tell whether the original was consumed. splice(2) refuses files opened with
// O_APPEND, which copytruncate needs.
//
// What may still happen twice: a kill within a write, after which somebody
// truncates or removes the file before the successor looks. What is in memory
// because the disk was full is kept too, as far as the shared memory reaches (64
// MiB for all services); the machine's own end loses it, and what the kernel has
// not written.
//
// # Files
//
// NAME.log is opened with O_APPEND and holds the bytes as they came. It is
// rotated by its size to NAME.log.1 and so on, each compressed to .zst by one
// Compressor for all services; or by logrotate(8), with copytruncate or with
// Reopen, to which end MaxSize should be larger than logrotate lets it become:
// the numbers of both look alike. Beside it lies .NAME.log.index, in which Since
// finds a moment; a compressed file carries its index in a skippable frame at
// its begin. Indexes are a help, and their loss only means that more is read.
//
// Nothing costs memory while a service is silent: chunks are taken only when
// there are bytes, goroutines that write exist only while there is something to
// write.
package logs
