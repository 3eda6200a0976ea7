package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// TCP makes a connection and closes it. That is weak evidence: the kernel
// accepts for a process that is stopped or stuck, until its backlog (listen(2))
// is full. It finds a port that nobody listens at.
type TCP struct {
	Address string // host:port
}

type tcpRunner struct{ TCP }

// NewTCP returns the runner of a connection.
func NewTCP(t TCP) Runner { return tcpRunner{t} }

func (r tcpRunner) Attempt(ctx context.Context, sent func()) Result {
	began := time.Now()
	n := &notice{sent: sent}
	defer n.end()
	dialer := net.Dialer{ControlContext: func(context.Context, string, string, syscall.RawConn) error {
		n.tell() // connect(2) is next
		return nil
	}}
	conn, err := dialer.DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return bad("%s", dialText(ctx, began, r.Address, err))
	}
	_ = conn.Close() // nothing was written
	return good("%s accepts, after %s", r.Address, took(began))
}

func (tcpRunner) Close() error { return nil }

// dialText says why there is no connection.
func dialText(ctx context.Context, began time.Time, address string, err error) string {
	var resolve *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("connection to %s refused: nobody listens", address)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Sprintf("no route to %s: %v", address, cause(err))
	case errors.Is(err, syscall.ENOENT):
		return fmt.Sprintf("no socket %s", address)
	case timedOut(ctx, err):
		return fmt.Sprintf("cannot connect to %s: %s", address, silence(ctx, began))
	case errors.As(err, &resolve):
		return fmt.Sprintf("cannot find the address of %s: %s", resolve.Name, resolve.Err)
	case errors.Is(err, syscall.ETIMEDOUT):
		return fmt.Sprintf("cannot connect to %s: no answer, after %s", address, took(began))
	}
	return fmt.Sprintf("cannot connect to %s: %v", address, cause(err))
}

// cause is the innermost error, without the addresses that net adds.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
