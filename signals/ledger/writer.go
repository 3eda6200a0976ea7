package ledger

import (
	"cmp"
	"slices"
)

// write brings what has changed to the file until Close. What could not be
// written is tried again with the next change.
func (l *Ledger) write() {
	defer close(l.done)
	defer l.file.close()
	for range l.wake {
		list, reopen, closed := l.changed()
		if reopen {
			l.note(l.file.reopen())
		}
		for i := range list {
			if !l.writeEntry(&list[i]) {
				l.keep(list[i:])
				break
			}
		}
		if closed {
			return
		}
	}
}

// changed takes the states that are to be written, in order.
func (l *Ledger) changed() (list []Entry, reopen, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for seq := range l.dirty {
		if e := l.ring.find(seq); e != nil {
			list = append(list, e.clone())
		}
	}
	clear(l.dirty)
	slices.SortFunc(list, func(a, b Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	reopen, l.reopen = l.reopen, false
	return list, reopen, l.closed
}

// writeEntry reports whether it makes sense to go on.
func (l *Ledger) writeEntry(e *Entry) bool {
	line, err := encode(e)
	if err != nil {
		l.note(err) // this one never will be written
		return true
	}
	err = l.file.write(line)
	l.note(err)
	return err == nil
}

// keep marks what could not be written, unless it is gone.
func (l *Ledger) keep(list []Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range list {
		if l.ring.find(e.Seq) != nil {
			l.dirty[e.Seq] = true
		} else {
			l.stats.Unwritten++
		}
	}
}

func (l *Ledger) note(err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail(err)
}
