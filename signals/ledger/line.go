package ledger

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/vigil-supervisor/vigil/signals"
)

// maxLine bounds a line of the file, in bytes. The longest that encode can make,
// all text escaped to six times its length, is about 14,000.
const maxLine = 16 << 10

// maxNumber is the largest number that every reader of JSON keeps (RFC 8259,
// section 6). No count of ours comes near it.
const maxNumber = 1<<53 - 1

// encode writes the state of an entry as a line.
func encode(e *Entry) ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("cannot encode entry %d: %w", e.Seq, err) // a year beyond 9999
	}
	return append(b, '\n'), nil
}

// decode reads a line, which may be torn or somebody else's.
func decode(line []byte) (e Entry, err error) {
	if len(line) > maxLine {
		return e, fmt.Errorf("cannot decode entry: %d bytes are too many", len(line))
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return Entry{}, fmt.Errorf("cannot decode entry: %w", err)
	}
	if err := e.check(); err != nil {
		return Entry{}, fmt.Errorf("cannot decode entry: %w", err)
	}
	return e, nil
}

// check holds what every entry of ours fulfils.
func (e *Entry) check() error {
	if e.Seq < 1 || e.Seq > maxNumber {
		return fmt.Errorf("seq %d", e.Seq)
	}
	if _, err := signals.Parse(e.Signal); e.Signal != "" && err != nil {
		return err
	}
	if e.Count < 1 || e.Count > maxNumber || e.Others < 0 || e.Others > e.Count {
		return fmt.Errorf("count %d, others %d", e.Count, e.Others)
	}
	if len(e.Senders) > maxSenders {
		return fmt.Errorf("%d senders", len(e.Senders))
	}
	for _, f := range e.Senders {
		if f.Count < 1 || f.Count > e.Count {
			return fmt.Errorf("count %d of a sender", f.Count)
		}
	}
	if e.bySender() < 0 {
		return errors.New("the senders sent more than there was")
	}
	return e.checkTexts()
}

func (e *Entry) checkTexts() error {
	long := len(e.Target) > maxText || len(e.Outcome) > maxText || len(e.Demand) > maxCommand
	for _, s := range append(e.Senders[:len(e.Senders):len(e.Senders)], Further{Sender: e.Sender}) {
		long = long || len(s.Command) > maxCommand || len(s.ParentCommand) > maxCommand
	}
	if long {
		return errors.New("a text is too long")
	}
	return nil
}
