package supervisor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// eventsFile is the name of the memory in which events outlive a supervisor.
const eventsFile = "vigil/events"

// maxEventsFile is the size, in bytes, from which on only the newest events are
// written anew.
const maxEventsFile = 2 << 20

// pastEvents are the events of the supervisors before.
type pastEvents struct {
	Seq  uint64 // of the newest event ever
	List []control.Event
	Size int64 // of the lines that are whole
}

// eventLog is the ring as JSON lines in memory that the keeper holds too, so
// that not even a kill of the supervisor loses an event. Each line is one write;
// one that a kill has cut is overwritten by the next.
type eventLog struct {
	f    *os.File
	size int64
}

// newEventLog makes such memory, with what is known so far.
func newEventLog(list []control.Event) (*eventLog, error) {
	fd, err := unix.MemfdCreate("vigil-events", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make memory for events: %w", err)
	}
	l := &eventLog{f: os.NewFile(uintptr(fd), "vigil-events")}
	var text []byte
	for _, e := range list {
		line, err := json.Marshal(e)
		if err != nil {
			continue // its text cannot be what fails: these are plain fields
		}
		text = append(append(text, line...), '\n')
	}
	if _, err := l.f.WriteAt(text, 0); err != nil {
		l.f.Close()
		return nil, fmt.Errorf("cannot write events: %w", err)
	}
	l.size = int64(len(text))
	return l, nil
}

// add appends one event.
func (l *eventLog) add(e control.Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("cannot encode event: %w", err)
	}
	if _, err := l.f.WriteAt(append(line, '\n'), l.size); err != nil {
		return fmt.Errorf("cannot write event: %w", err)
	}
	l.size += int64(len(line)) + 1
	return nil
}

// readEvents decodes what the supervisors before have left. What follows the
// last whole line was cut by a kill.
func readEvents(r io.ReaderAt) (p pastEvents, err error) {
	const most = maxEventsFile + maxEventLine
	text, err := io.ReadAll(io.NewSectionReader(r, 0, most+1))
	if err != nil {
		return p, fmt.Errorf("cannot read events: %w", err)
	}
	if len(text) > most {
		return p, fmt.Errorf("cannot read events: more than %d bytes", most)
	}
	for rest := text; ; {
		line, after, whole := bytes.Cut(rest, []byte{'\n'})
		if !whole {
			break
		}
		var e control.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return pastEvents{}, fmt.Errorf("cannot decode event %d: %w", len(p.List)+1, err)
		}
		if e.Seq <= p.Seq {
			return pastEvents{}, errors.New("cannot use events: their numbers do not rise")
		}
		p.Seq, p.List = e.Seq, append(p.List, e)
		rest = after
	}
	p.Size = int64(bytes.LastIndexByte(text, '\n') + 1)
	p.List = p.List[max(0, len(p.List)-maxEvents):]
	return p, nil
}

// maxEventLine is more than one event can be.
const maxEventLine = 1 << 20

// takeEvents goes on where the supervisor before has stopped to count, in the
// same memory.
func (s *Supervisor) takeEvents(f *os.File) {
	if f != nil {
		past, err := readEvents(f)
		if err == nil {
			s.events.seq, s.events.list = past.Seq, past.List
			s.events.log = &eventLog{f, past.Size}
			return
		}
		f.Close()
		s.log.Warn("the events of before are lost", zap.Error(err))
	}
	s.keepEvents()
}

// keepEvents gives the keeper memory with the newest events, instead of what it
// has.
func (s *Supervisor) keepEvents() {
	l, err := newEventLog(s.events.list)
	if err == nil {
		err = s.keeper.send(protocol.TPutFile, protocol.Name{Name: eventsFile}, []*os.File{l.f}, nil)
	}
	if err != nil {
		s.log.Warn("events would be lost if the supervisor were killed", zap.Error(err))
		return
	}
	if s.events.log != nil {
		s.events.log.f.Close()
	}
	s.events.log = l
}

// logEvent makes the event outlive us.
func (s *Supervisor) logEvent(e control.Event) {
	l := s.events.log
	if l == nil {
		return
	}
	if err := l.add(e); err != nil || l.size > maxEventsFile {
		s.keepEvents() // sealed by a former version, or full
	}
}

// takeTimelines puts what was before in front of what has happened since. A
// service's note holds the newest of it already.
func (s *Supervisor) takeTimelines(past []control.Event) {
	wall, boot := time.Now(), clock.Boot()
	before := map[string]*timeline{}
	for _, e := range past {
		v, ok := s.services[e.Service]
		if !ok || v.timeline.has(e.Time, e.Text) {
			continue
		}
		t := before[e.Service]
		if t == nil {
			t = &timeline{}
			before[e.Service] = t
		}
		t.add(snapshot.Moment{Time: e.Time, Boot: boot - wall.Sub(e.Time), Kind: e.Kind, Text: e.Text})
	}
	for name, t := range before {
		v := s.services[name]
		for _, m := range v.timeline.list {
			t.add(m)
		}
		slices.SortStableFunc(t.list, func(a, b snapshot.Moment) int { return a.Time.Compare(b.Time) })
		v.timeline = *t
	}
}

// sealed makes memory of a text that the keeper can hold and that nobody can
// change any more (memfd_create(2), Linux 3.17).
func sealed(name string, text []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("cannot make memory for %s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(text); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot write %s: %w", name, err)
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot seal %s: %w", name, err)
	}
	return f, nil
}
