package supervisor

import (
	"errors"
	"fmt"
	"os"

	"github.com/vigil-supervisor/vigil/internal/fault"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// keeperLink speaks to the keeper. The loop owns it; one goroutine receives and
// hands every message to the loop.
type keeperLink struct {
	conn    *protocol.Conn
	epoch   uint64
	nextID  uint64
	waiting map[uint64]func(protocol.Message)
}

func newKeeperLink(socket *os.File) (*keeperLink, error) {
	conn, err := protocol.NewConn(socket)
	if err != nil {
		return nil, err
	}
	return &keeperLink{conn: conn, waiting: map[uint64]func(protocol.Message){}}, nil
}

// recovered is what the keeper holds when a supervisor begins.
type recovered struct {
	children []recoveredChild
	files    map[string]*os.File
	notes    map[string][]byte
}

type recoveredChild struct {
	protocol.Child
	files   childFiles
	follows bool // there is an older instance: a standing order was carried out
}

// childFiles are the descriptors of one child; nil where there is none.
type childFiles struct{ pidfd, out, err *os.File }

func takeChildFiles(fds []int, have []bool) childFiles {
	var f childFiles
	slots := []struct {
		at   **os.File
		name string
	}{{&f.pidfd, "pidfd"}, {&f.out, "stdout"}, {&f.err, "stderr"}}
	for i, slot := range slots {
		if len(fds) > 0 && (have == nil || (i < len(have) && have[i])) {
			*slot.at = os.NewFile(uintptr(fds[0]), slot.name)
			fds = fds[1:]
		}
	}
	return f
}

func (f childFiles) close() {
	for _, one := range []*os.File{f.pidfd, f.out, f.err} {
		if one != nil {
			one.Close()
		}
	}
}

// hello introduces us. A candidate gets no epoch by it.
func (l *keeperLink) hello(version string) (w protocol.Welcome, err error) {
	hello := protocol.Hello{Protocol: protocol.Version, Version: version, PID: os.Getpid()}
	if err := l.send(protocol.THello, hello, nil, nil); err != nil {
		return w, err
	}
	return l.welcomed()
}

func (l *keeperLink) welcomed() (w protocol.Welcome, err error) {
	m, err := l.expect(protocol.TWelcome)
	if err != nil {
		return w, fmt.Errorf("cannot be welcomed by the keeper: %w", err)
	}
	err = m.Into(&w)
	l.epoch = w.Epoch
	if fault.Enabled && w.Epoch != 0 {
		fault.Point("after epoch")
	}
	return w, err
}

// recover asks for all that the keeper holds. A candidate is told of it, and
// gets no descriptors.
func (l *keeperLink) recover() (recovered, error) {
	r := recovered{files: map[string]*os.File{}, notes: map[string][]byte{}}
	if err := l.send(protocol.TRecover, struct{}{}, nil, nil); err != nil {
		return r, err
	}
	for {
		m, err := l.conn.Receive()
		if err != nil {
			return r, fmt.Errorf("cannot recover from the keeper: %w", err)
		}
		if done, err := r.take(m); done || err != nil {
			return r, err
		}
	}
}

func (l *keeperLink) expect(t protocol.Type) (protocol.Message, error) {
	m, err := l.conn.Receive()
	if err != nil {
		return m, err
	}
	if m.Type == t {
		return m, nil
	}
	var reply protocol.Reply
	if m.Into(&reply) == nil && reply.Error != "" {
		return m, errors.New(reply.Error)
	}
	return m, fmt.Errorf("got %s, not %s", m.Type, t)
}

func (r *recovered) take(m protocol.Message) (done bool, err error) {
	switch m.Type {
	case protocol.TChild:
		var c recoveredChild
		if err := m.Into(&c.Child); err != nil {
			return false, err
		}
		c.files = takeChildFiles(m.Files, c.Child.Files)
		r.children = append(r.children, c)
	case protocol.TFile:
		var n protocol.Name
		if err := m.Into(&n); err != nil || len(m.Files) != 1 {
			return false, errors.Join(err, fmt.Errorf("descriptor %q came with %d descriptors", n.Name, len(m.Files)))
		}
		r.files[n.Name] = os.NewFile(uintptr(m.Files[0]), n.Name)
	case protocol.TNote:
		var n protocol.Note
		if err := m.Into(&n); err != nil {
			return false, err
		}
		r.notes[n.Key] = n.Text
	case protocol.TRecovered:
		return true, nil
	default:
		m.CloseFiles()
	}
	return false, nil
}

// receive hands every message to deliver until the connection ends.
func (l *keeperLink) receive(deliver func(protocol.Message, error)) {
	for {
		m, err := l.conn.Receive()
		deliver(m, err)
		if err != nil {
			return
		}
	}
}

// send asks without waiting. then is called by the loop with the answer.
func (l *keeperLink) send(t protocol.Type, body any, files []*os.File, then func(protocol.Message)) error {
	l.nextID++
	m, err := protocol.Make(t, l.nextID, l.epoch, body)
	if err != nil {
		return err
	}
	for _, f := range files {
		fd, err := rawFD(f)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, fd)
	}
	if then != nil {
		l.waiting[m.ID] = then
	}
	if fault.Enabled {
		fault.Point("before " + t.String())
		defer fault.Point("after " + t.String())
	}
	return l.conn.Send(m)
}

// answered finds who waits for an answer.
func (l *keeperLink) answered(m protocol.Message) {
	then, ok := l.waiting[m.ID]
	if !ok {
		m.CloseFiles()
		return
	}
	delete(l.waiting, m.ID)
	then(m)
}

// replyError is the error of a Reply, nil when it worked.
func replyError(m protocol.Message) (protocol.Reply, error) {
	var r protocol.Reply
	if err := m.Into(&r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

// rawFD returns the number of f without making it blocking, as Fd does. The
// number is good for as long as f is reachable.
func rawFD(f *os.File) (int, error) {
	c, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	n := -1
	err = c.Control(func(fd uintptr) { n = int(fd) })
	return n, err
}
