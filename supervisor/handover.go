package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// eventsFile is the name of the descriptor in which a supervisor that makes
// room leaves its events.
const eventsFile = "vigil/events"

// maxEventsFile bounds it, in bytes.
const maxEventsFile = 8 << 20

// pastEvents are the events of the supervisors before.
type pastEvents struct {
	Seq  uint64          `json:"seq"` // of the newest event ever
	List []control.Event `json:"list"`
}

// file writes the newest events into memory that the keeper can hold.
func (r *eventRing) file() (*os.File, error) {
	list := r.list
	for {
		text, err := json.Marshal(pastEvents{r.seq, list})
		if err != nil {
			return nil, fmt.Errorf("cannot encode events: %w", err)
		}
		if len(text) <= maxEventsFile {
			return sealed("vigil-events", text)
		}
		list = list[(len(list)+1)/2:]
	}
}

// readEvents decodes what a supervisor before left.
func readEvents(r io.ReaderAt) (p pastEvents, err error) {
	text, err := io.ReadAll(io.NewSectionReader(r, 0, maxEventsFile+1))
	if err != nil {
		return p, fmt.Errorf("cannot read events: %w", err)
	}
	if len(text) > maxEventsFile {
		return p, fmt.Errorf("cannot read events: more than %d bytes", maxEventsFile)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return pastEvents{}, fmt.Errorf("cannot decode events: %w", err)
	}
	last := uint64(0)
	for _, e := range p.List {
		if e.Seq <= last || e.Seq > p.Seq {
			return pastEvents{}, errors.New("cannot use events: their numbers do not rise")
		}
		last = e.Seq
	}
	p.List = p.List[max(0, len(p.List)-maxEvents):]
	return p, nil
}

// takeEvents goes on where the supervisor before has stopped to count. The file
// is dropped: after a crash it would tell of the past only.
func (s *Supervisor) takeEvents(f *os.File) {
	if f == nil {
		return
	}
	defer f.Close()
	past, err := readEvents(f)
	if err != nil {
		s.log.Warn("the events before the reload are lost", zap.Error(err))
	}
	s.events.seq, s.events.list = past.Seq, past.List
	s.ask(protocol.TDropFile, protocol.Name{Name: eventsFile})
}

// takeTimelines puts what was before in front of what has happened since.
func (s *Supervisor) takeTimelines(past []control.Event) {
	wall, boot := time.Now(), clock.Boot()
	before := map[string]*timeline{}
	for _, e := range past {
		t := before[e.Service]
		if t == nil {
			t = &timeline{}
			before[e.Service] = t
		}
		t.add(snapshot.Moment{Time: e.Time, Boot: boot - wall.Sub(e.Time), Kind: e.Kind, Text: e.Text})
	}
	for name, t := range before {
		if v, ok := s.services[name]; ok {
			for _, m := range v.timeline.list {
				t.add(m)
			}
			v.timeline = *t
		}
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
