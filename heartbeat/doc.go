// Package heartbeat lets a Go program tell vigil what it is doing and that it
// is getting on: through memory that both share, at the price of one store.
//
// A program claims an activity for each kind of work that must not hang, says
// when it has work and when it has none, and beats while it works:
//
//	flusher, err := heartbeat.Claim("flusher", 2*time.Second)
//	if err != nil {
//		log.Print(err) // flusher can be used all the same; nobody watches it
//	}
//	for batch := range batches {
//		flusher.Busy()
//		for _, row := range batch {
//			write(row)
//			flusher.Beat()
//		}
//		flusher.Idle()
//	}
//	flusher.Release()
//
// An idle activity is healthy for as long as it likes. A busy one that does not
// beat within its timeout is a hang: vigil takes the stacks of the program and
// restarts it. So beat where work is done, not from a timer beside it: a timer
// beats on when the work hangs.
//
// Without vigil (VIGIL_HEARTBEAT_FD is not set) every activity is one that
// nobody watches, and nothing fails. The layout of the memory is that of
// package wire; docs/heartbeat.md has it for all languages.
package heartbeat
