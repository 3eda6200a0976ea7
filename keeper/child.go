package keeper

import (
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// child is one instance of a service, or a helper: the process that was
// started and everything that descends from it.
type child struct {
	id      string
	spec    protocol.Start
	passed  []int // descriptors that came with the start of a helper
	started protocol.Started
	pidfd   int
	out     int // read end of its stdout, -1 when it has none
	err     int
	pipes   [2]uint64 // inodes of the pipes of its stdout and stderr, 0: none
	tree    tree

	starting bool
	adopted  bool // started by a keeper before this one: not our child
	stored   bool // the service manager has its descriptors, too
	exit     *protocol.Exit
	empty    bool
	killing  bool
	stopped  int
	again    bool
	owed     bool // its end has not been told: the standing order tells it
	released bool
	follows  *child  // the instance whose standing order this start carries out
	replyTo  request // of the start, until it is answered
}

func newChild(s protocol.Start) *child {
	return &child{id: protocol.ID(s.Key, s.Instance), spec: s, pidfd: -1, out: -1, err: -1, starting: true, again: s.Again}
}

// service is the child, unless it is a helper.
func (c *child) service() *child {
	if c.spec.Helper {
		return nil
	}
	return c
}

// files lists the descriptors that a supervisor gets of this child, and which
// of the three places they fill.
func (c *child) files() ([]int, []bool) {
	var fds []int
	have := make([]bool, 3)
	for i, fd := range []int{c.pidfd, c.out, c.err} {
		if fd >= 0 {
			fds = append(fds, fd)
			have[i] = true
		}
	}
	return fds, have
}

func (c *child) describe() (protocol.Child, []int) {
	fds, have := c.files()
	return protocol.Child{
		Key: c.spec.Key, Helper: c.spec.Helper, Started: c.started, Exit: c.exit, Empty: c.empty,
		Killing: c.killing, Stopped: c.stopped, Again: c.again, Adopted: c.adopted, Files: have, StopSignal: c.spec.StopSignal, StopTimeout: c.spec.StopTimeout,
	}, fds
}

// close gives back what the child holds in the keeper.
func (c *child) close() {
	for _, fd := range append([]int{c.pidfd, c.out, c.err}, c.passed...) {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	c.pidfd, c.out, c.err, c.passed = -1, -1, -1, nil
	if c.tree != nil {
		c.tree.Remove()
	}
}
