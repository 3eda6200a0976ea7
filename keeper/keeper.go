package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/cgroup"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/internal/tidy"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// Options say who this keeper is.
type Options struct {
	_ struct{}

	Name       string
	RuntimeDir string   // exists, ours
	StateDir   string   // exists, ours
	Executable string   // where a reload finds the program; empty: where our own was started from
	Supervisor []string // its arguments; it finds its socket on descriptor protocol.SocketFD
	Version    string

	// CaptureHelper is vigil-capture, which takes the stacks of a supervisor that
	// hangs; empty: there is none.
	CaptureHelper string
	// BeatTimeout is how long a supervisor may be silent; 0: 20 s. Tests make it
	// short; below the 2 s of a beat no supervisor lives.
	BeatTimeout time.Duration
	bounds      bounds // of a reload; zero: the usual ones
}

// Keeper is the state of the one loop. Nothing outside of loop touches it but
// the channels.
type Keeper struct {
	opt     Options
	ctx     context.Context
	stop    context.CancelFunc
	pid     int
	started time.Duration

	cgroups  *cgroup.Group
	noCgroup string
	noReaper string

	inherited bool // children from before the keeper, of whoever became vigil by exec

	children map[string]*child
	order    []string // ids in the order of their starts
	byPID    map[int]*child
	files    map[string]int // kept descriptors
	records  *records       // what a successor finds, should we be killed
	notes    map[string][]byte

	inFlight int           // starts under way
	early    map[int]death // deaths and stops of pids that no start has announced yet

	events  []pending // not acknowledged
	seq     uint64
	dropped uint64

	sup        supervisor
	hang       *hang       // the capture of a supervisor, nil: none
	exe        *executable // what supervisors are started from
	disk       string      // where the next version of it will lie
	reload     *reload     // under way; nil when none is
	probation  *probation  // after a reload; nil when the supervisor has proved itself
	opening    bool        // the program is being opened for a reload
	bounds     bounds
	nextReload time.Duration
	demands    demands
	manager    serviceManager

	quit      *protocol.Quit
	stopping  *ownStop
	tidy      tidy.Tidy
	ownStopAt time.Duration // when the own stop begins, if no supervisor took the request; 0: never

	deaths     chan death
	kick       chan struct{}
	spawns     chan spawned
	empties    chan emptied
	hangs      chan hangStarted
	inbox      chan received
	candidates chan begunCandidate
	exit       int
	done       bool
}

// Bounds of what a keeper holds.
const (
	maxChildren = 16384
	maxFiles    = 65536
	maxNotes    = 16384
	maxNote     = 256 << 10
	maxEvents   = 16384
)

// Run is the life of a keeper. It returns the status to exit with. A *Running
// error says that the name is taken.
func Run(o Options) (status int, err error) {
	k := newKeeper(o)
	defer k.stop()
	k.openManager()
	defer k.manager.Close()
	k.inherited = hasChildren()
	// First of all: a TERM that comes before would end us with status 2.
	in, err := takeSignals()
	if err != nil {
		return 0, err
	}
	defer takeFatalSignals(k.pid)()
	if err := checkProc(k.pid); err != nil {
		return 0, err
	}
	for _, dir := range []string{o.RuntimeDir, o.StateDir} {
		f, err := lock(o.Name, dir)
		if err != nil {
			return 0, err
		}
		defer f.Close()
	}
	if err := k.prepareHost(); err != nil {
		return 0, err
	}
	k.records = openRecords(o.RuntimeDir)
	k.openDemands(in)
	defer k.endDemands()
	k.adopt()
	go reap(k.deaths, k.kick, k.ctx.Done())
	if err := k.startSupervisor(); err != nil {
		return 0, err
	}
	k.loop()
	k.endLeftovers()
	k.cleanUp()
	return k.exit, nil
}

func newKeeper(o Options) *Keeper {
	ctx, stop := context.WithCancel(context.Background())
	if o.Executable == "" {
		o.Executable = diskPath()
	}
	if o.bounds == (bounds{}) {
		o.bounds = usualBounds
	}
	return &Keeper{
		bounds: o.bounds,
		opt:    o, ctx: ctx, stop: stop, pid: os.Getpid(), started: clock.Boot(),
		children: map[string]*child{}, byPID: map[int]*child{}, files: map[string]int{}, notes: map[string][]byte{},
		early:  map[int]death{},
		deaths: make(chan death, 64), kick: make(chan struct{}, 1), spawns: make(chan spawned, 16),
		empties: make(chan emptied, 16), hangs: make(chan hangStarted, 1), inbox: make(chan received, 64),
		candidates: make(chan begunCandidate, 1), exe: ownExecutable(), disk: o.Executable,
	}
}

// prepareHost makes the process a subreaper and looks for a cgroup. What it
// cannot have it says, and goes on without.
func (k *Keeper) prepareHost() error {
	// Orphans of services come to us, not to pid 1 (Linux 3.4).
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil && k.pid != 1 {
		k.noReaper = fmt.Sprintf("orphans of services go to pid 1: %v", err)
	}
	base, err := cgroup.Find()
	if err != nil {
		k.noCgroup = err.Error()
		return nil
	}
	k.sweep(base.Path())
	sub, err := base.Make(k.groupName())
	if err != nil {
		k.noCgroup = err.Error()
		return nil
	}
	k.cgroups = &sub
	return nil
}

// sweep removes the empty groups that keepers of this name left when they were
// killed. One that holds processes cannot be removed, and stays.
func (k *Keeper) sweep(dir string) {
	for _, path := range k.groupsOfDead(dir) {
		if g, err := cgroup.Open(path); err == nil {
			_ = g.Remove() // EBUSY: services of the dead keeper live on
		}
	}
}

// groupName is unlike that of another vigil of the same name elsewhere: two
// pid 1 may share a cgroup, as containers without a cgroup namespace can.
func (k *Keeper) groupName() string {
	return fmt.Sprintf("vigil-%s.%d%s", k.opt.Name, k.pid, namespaceSuffix())
}

// loop is the keeper. Everything in here returns at once.
func (k *Keeper) loop() {
	tick := time.NewTimer(time.Hour)
	defer tick.Stop()
	for !k.done {
		tick.Reset(k.untilNext())
		select {
		case d := <-k.deaths:
			k.onDeath(d)
		case r := <-k.spawns:
			k.onSpawned(r)
		case r := <-k.hangs:
			k.onHangStarted(r)
		case e := <-k.empties:
			k.onEmptied(e)
		case r := <-k.inbox:
			k.onReceived(r)
		case b := <-k.candidates:
			k.onCandidate(b)
		case <-k.demands.intake.Ready():
			k.onSignals()
		case <-tick.C:
		}
		k.onTime(clock.Boot())
	}
}

// untilNext is how long the loop may sleep.
func (k *Keeper) untilNext() time.Duration {
	next := time.Hour
	now := clock.Boot()
	for _, at := range []time.Duration{
		k.supervisorDue(), k.beatLimit(), k.hang.next(), k.stopping.next(), k.ownStopAt, k.tidy.Next(), k.reload.next(),
		k.reloadDue(), k.managerDue(), k.probation.next(),
	} {
		if at > 0 {
			next = min(next, max(at-now, 0))
		}
	}
	return next
}

func (k *Keeper) onTime(now time.Duration) {
	k.superviseReload(now)
	k.superviseProbation(now)
	k.takeDemands(now)
	k.superviseSupervisor(now)
	k.goOnHang(now)
	k.goOnStopping(now)
	k.tidy.OnTime(now)
	k.quitWhenEmpty()
	k.tellManager(now)
}

// quitWhenEmpty ends the loop when the supervisor asked for it and nothing is
// left that would need a parent.
func (k *Keeper) quitWhenEmpty() {
	if k.quit == nil || k.sup.alive() {
		return
	}
	for _, c := range k.children {
		if !c.empty {
			k.killChild(c)
			return
		}
	}
	k.exit, k.done = k.quit.Status, true
}

func (k *Keeper) cleanUp() {
	k.stop()
	if k.hang != nil && k.hang.helper != 0 {
		hangStarted{pid: k.hang.helper, pidfd: k.hang.pidfd}.end()
	}
	k.leaveManager()
	k.endProbation()
	for _, c := range k.children {
		c.close()
	}
	for _, fd := range k.files {
		unix.Close(fd)
	}
	k.records.clear()
	if k.cgroups != nil {
		_ = k.cgroups.Remove()
		k.sweep(filepath.Dir(k.cgroups.Path())) // groups of adopted children
	}
}

func (k *Keeper) kickReaper() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

var errUnknown = errors.New("keeper: no such child")

func (k *Keeper) find(id string) (*child, error) {
	if c, ok := k.children[id]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("cannot find child %q: %w", id, errUnknown)
}

// tell reports an event to the supervisor and keeps it until it is
// acknowledged.
func (k *Keeper) tell(e protocol.Event, files ...int) {
	k.seq++
	e.Seq = k.seq
	if e.Boot == 0 {
		e.Boot = clock.Boot()
	}
	p := pending{event: e, id: protocol.ID(e.Key, e.Inst)}
	k.events = append(k.events, p)
	if len(k.events) > maxEvents {
		// The children still say what is; only the story gets a hole.
		k.events = k.events[1:]
		k.dropped++
	}
	k.sup.sendEvent(e, files)
}

// pending is an event that nobody has acknowledged.
type pending struct {
	event protocol.Event
	id    string
}
