package manager

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Barrier waits until the service manager has read all that was sent before
// (BARRIER=1, systemd 246), at most for timeout: os.ErrDeadlineExceeded. That
// it has read something does not mean that it has accepted it.
func (m *Manager) Barrier(timeout time.Duration) error {
	if m.link == nil {
		return nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot make a barrier: %w", err)
	}
	defer r.Close()
	raw, err := w.SyscallConn()
	if err != nil {
		w.Close()
		return fmt.Errorf("cannot make a barrier: %w", err)
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		sent = m.link.send(message{text: "BARRIER=1", files: []int{int(fd)}})
	})
	w.Close()
	if err = errors.Join(err, sent); err != nil {
		return fmt.Errorf("cannot make a barrier: %w", err)
	}
	if err := r.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return fmt.Errorf("cannot make a barrier: %w", err)
	}
	// The service manager closes its end.
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("cannot wait for the service manager: %w", err)
	}
	return nil
}
