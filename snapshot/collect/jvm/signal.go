package jvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// quiet is how long nothing must have come after the threads of a dump until it
// is over: deadlocks and the heap follow them, and not every version has both.
const quiet = 150 * time.Millisecond

// bySignal has the JVM print its threads to its own output, and reads them there.
func (c *collection) bySignal(ctx context.Context) ([]byte, error) {
	if err := c.target.answers(); err != nil {
		return nil, err
	}
	if err := c.target.takesQuit(); err != nil {
		return nil, err
	}
	tails := c.openTails()
	defer func() {
		for _, t := range tails {
			t.close()
		}
	}()
	if len(tails) == 0 && !c.opt.Lethal {
		// One whose output nobody reads would hang with a full pipe, in a safepoint.
		return nil, errors.New("its output is no file that could be read, so it is not asked")
	}
	if err := c.target.fd.Signal(syscall.SIGQUIT); err != nil {
		return nil, err
	}
	if len(tails) == 0 {
		return nil, errors.New("its output is no file that could be read; it was asked all the same: what it says, if it does, is among what the service printed last")
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, t := range tails {
			if t.more(); t.over() {
				return t.text, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			for _, t := range tails {
				if bytes.Contains(t.text, []byte(dumpBegin)) {
					c.notes = append(c.notes, "the dump was not whole when the time was over")
					return t.text, nil
				}
			}
			return nil, errors.New("SIGQUIT brought nothing into its output in time: it reaches no safepoint, or the output goes elsewhere")
		}
	}
}

// openTails opens the files that its output goes to: those that the caller knows
// of, and its own descriptors (HotSpot prints to 1, and with
// -XX:+DisplayVMOutputToStderr to 2). Each file once.
func (c *collection) openTails() (tails []*tail) {
	names := c.opt.Output
	for fd := 1; fd <= 2; fd++ {
		names = append(names[:len(names):len(names)], fmt.Sprintf("/proc/%d/fd/%d", c.target.pid, fd))
	}
next:
	for _, name := range names {
		t, err := openTail(name)
		if err != nil {
			continue
		}
		for _, other := range tails {
			if other.same(t) {
				t.close()
				continue next
			}
		}
		tails = append(tails, t)
	}
	return tails
}
