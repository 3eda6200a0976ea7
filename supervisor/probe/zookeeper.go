package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// ZooKeeper writes a canary node through one server and reads it back, in a
// session that is kept. A second session only reads: the reads of a session
// wait for its writes, so that after a write that hangs the first could not
// tell whether the server still answers. Each attempt asks for the server's
// role too.
type ZooKeeper struct {
	Address string // host:port, of plain TCP
	// Canary is the node below which each vigil has one of its own for each
	// server, named after the host and Address; "": /vigil. It is made if it is
	// missing, open to all.
	Canary string
	// SessionTimeout is asked of the server, which may give another; 0: 10 s.
	SessionTimeout time.Duration
}

const (
	defaultCanary  = "/vigil"
	defaultSession = 10 * time.Second
	maxPending     = 4               // calls of one session that are not answered
	closeTime      = 8 * time.Second // for sessions whose server does not answer
)

// Steps of an attempt, as texts name them.
const (
	stepConnect = "connect"
	stepSession = "session"
	stepWrite   = "write"
	stepRead    = "read"
)

type zkRunner struct {
	ZooKeeper
	node   string
	count  uint64   // attempts
	writer *session // nil without one
	reader *session

	mu  sync.Mutex // one attempt's two sessions may be dropped at the same time
	old []*session // on their way out
}

// NewZooKeeper returns the runner of a canary. It connects with its first
// attempt.
func NewZooKeeper(z ZooKeeper) Runner {
	if z.Canary == "" {
		z.Canary = defaultCanary
	}
	if z.SessionTimeout <= 0 {
		z.SessionTimeout = defaultSession
	}
	return &zkRunner{ZooKeeper: z, node: path.Join("/", z.Canary, nodeName(z.Address))}
}

// nodeName is the same for each vigil that runs on this host.
func nodeName(address string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	plain := func(r rune) rune {
		if r < 0x80 && (r == '.' || r == '-' || r == ':' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return r
		}
		return '_'
	}
	return head(strings.Map(plain, host), 100) + "-" + head(strings.Map(plain, address), 100)
}

// outcome is how one of the two sessions did.
type outcome struct {
	step string // that failed
	err  error
}

func (r *zkRunner) Attempt(ctx context.Context, sent func()) Result {
	began := time.Now()
	r.count++
	n := &notice{sent: sent}
	defer n.end()
	var (
		write, read outcome
		role, why   string
		all         sync.WaitGroup
	)
	// Each ends with ctx.
	all.Go(func() { write = r.attempt(ctx, &r.writer, n, r.writeAndRead) })
	all.Go(func() { read = r.attempt(ctx, &r.reader, n, r.readOnly) })
	all.Go(func() { role, why = askRole(ctx, r.Address) })
	all.Wait()
	r.forget()
	res := r.judge(ctx, began, write, read)
	switch {
	case role != "":
		res.Text = line(res.Text + "; " + role)
	case why != "" && write.step != stepConnect: // which says it already
		res.Text = line(res.Text + "; role unknown: " + why)
	}
	res.Role, res.Heard = role, role != "" || why == notServing
	return res
}

// judge makes a text of what both sessions did.
func (r *zkRunner) judge(ctx context.Context, began time.Time, write, read outcome) Result {
	switch {
	case write.err == nil && read.err == nil:
		return good("wrote and read %s after %s", head(r.node, 100), took(began))
	case write.err == nil:
		return bad("read-only session, %s: %s", read.step, zkText(ctx, began, read.err))
	}
	failure := fmt.Sprintf("%s: %s", write.step, head(zkText(ctx, began, write.err), 150))
	hangs := errors.Is(write.err, errSilence) || errors.Is(write.err, zk.ErrConnectionClosed) || errors.Is(write.err, errLost)
	switch {
	case read.err == nil && hangs && write.step != stepConnect:
		return bad("%s; read-only session answers: the cluster does not take writes", failure)
	case read.err == nil:
		return bad("%s; read-only session answers", failure)
	case read.step == write.step && write.step != stepRead:
		return bad("%s; the same of the read-only session", failure)
	}
	return bad("%s; read-only session, %s: %s", failure, read.step, head(zkText(ctx, began, read.err), 60))
}

// zkText says in words of ours why a step failed.
func zkText(ctx context.Context, began time.Time, err error) string {
	switch {
	case errors.Is(err, errSilence):
		return silence(ctx, began)
	case errors.Is(err, zk.ErrConnectionClosed), errors.Is(err, zk.ErrNoServer), errors.Is(err, zk.ErrClosing):
		return "the server closed the connection"
	case errors.Is(err, zk.ErrNoAuth):
		return "the node's ACL does not allow it"
	}
	return strings.TrimPrefix(err.Error(), "zk: ")
}

// attempt does something in a session, which is opened where there is none. A
// session that was kept may turn out to be gone when it is used, which says
// nothing about the server now: then another one is opened, once.
func (r *zkRunner) attempt(ctx context.Context, at **session, n *notice, do func(context.Context, *session) outcome) outcome {
	for {
		s := *at
		kept := s != nil && s.usable()
		if !kept {
			r.drop(at)
			s = openSession(r.Address, r.SessionTimeout)
			*at = s
		}
		s.notify(n)
		if !kept {
			if step, err := s.await(ctx); err != nil {
				r.drop(at)
				return outcome{step, err}
			}
		}
		o := do(ctx, s)
		if o.err == nil || ctx.Err() != nil || s.usable() {
			return o
		}
		r.drop(at)
		if !kept {
			return o
		}
	}
}

// writeAndRead is the canary.
func (r *zkRunner) writeAndRead(ctx context.Context, s *session) outcome {
	data := []byte(strconv.FormatUint(r.count, 10) + " " + time.Now().UTC().Format(time.RFC3339Nano))
	written, err := call(ctx, s, func(c *zk.Conn) (*zk.Stat, error) { return setNode(c, r.node, data) })
	if err != nil {
		return outcome{stepWrite, err}
	}
	found, err := call(ctx, s, func(c *zk.Conn) (*zk.Stat, error) { _, stat, err := c.Get(r.node); return stat, err })
	// Another vigil may have written since, but nobody before.
	if err == nil && found.Mzxid < written.Mzxid {
		err = fmt.Errorf("the node is older than the write: transaction %#x, not %#x", found.Mzxid, written.Mzxid)
	}
	return outcome{stepRead, err}
}

// setNode writes a node, and makes it and what is above it where it is missing.
func setNode(c *zk.Conn, node string, data []byte) (*zk.Stat, error) {
	stat, err := c.Set(node, data, -1)
	if !errors.Is(err, zk.ErrNoNode) {
		return stat, err
	}
	for i := 1; i <= len(node); i++ {
		if i < len(node) && node[i] != '/' {
			continue
		}
		if _, err := c.Create(node[:i], nil, 0, zk.WorldACL(zk.PermAll)); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return nil, fmt.Errorf("cannot create %s: %w", node[:i], err)
		}
	}
	return c.Set(node, data, -1)
}

// readOnly reads. That there is no node yet is an answer too.
func (r *zkRunner) readOnly(ctx context.Context, s *session) outcome {
	_, err := call(ctx, s, func(c *zk.Conn) (struct{}, error) { _, _, err := c.Get(r.node); return struct{}{}, err })
	if errors.Is(err, zk.ErrNoNode) {
		err = nil
	}
	return outcome{stepRead, err}
}

// drop gives a session up; it ends by itself.
func (r *zkRunner) drop(at **session) {
	if *at == nil {
		return
	}
	(*at).shut()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.old = append(r.old, *at)
	*at = nil
}

// forget leaves out of old what has ended.
func (r *zkRunner) forget() {
	rest := r.old[:0]
	for _, s := range r.old {
		select {
		case <-s.ended:
		default:
			rest = append(rest, s)
		}
	}
	clear(r.old[len(rest):])
	r.old = rest
}

func (r *zkRunner) Close() error {
	r.drop(&r.writer)
	r.drop(&r.reader)
	late := time.NewTimer(closeTime)
	defer late.Stop()
	for _, s := range r.old {
		select {
		case <-s.ended:
		case <-late.C:
			return fmt.Errorf("cannot close the sessions of ZooKeeper server %s within %v", r.Address, closeTime)
		}
	}
	r.old = nil
	return nil
}
