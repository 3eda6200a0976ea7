package logs

import "time"

// Watcher sees what an instance writes, in order, as it is read.
type Watcher interface {
	// Feed takes the bytes of one read, which are not to be kept. at is
	// CLOCK_BOOTTIME. It is called with the lock of the Output held: it must
	// neither wait nor call the Output, and what it needs in time all readers of the
	// service wait for.
	Feed(stderr bool, p []byte, at time.Duration)
	// End says that a stream has ended. It is called as Feed is.
	End(stderr bool, at time.Duration)
	// Flush is called after Feed and End on the goroutine of the reader, without
	// any lock, by several goroutines at a time. While it waits, that stream of the
	// service is not read.
	Flush()
}

// flush lets the watcher tell what it has seen.
func (i *Instance) flush() {
	if i.watch != nil {
		i.watch.Flush()
	}
}
