package supervisor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/logs"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// backend answers the control API. Its methods run on the server's goroutines
// and ask the loop.
type backend struct{ s *Supervisor }

var _ control.Backend = backend{}

// call runs f in the loop and waits for it.
func (b backend) call(f func()) error {
	done, refused := make(chan struct{}), false
	task := func() {
		defer close(done)
		if refused = b.s.retired; !refused {
			f()
		}
	}
	select {
	case b.s.tasks <- task:
	case <-b.s.ctx.Done():
		return control.ErrShutdown
	}
	select {
	case <-done:
		if refused {
			return control.ErrShutdown
		}
		return nil
	case <-b.s.ctx.Done():
		return control.ErrShutdown
	}
}

// Instance describes this vigil.
func (b backend) Instance() control.Instance {
	s := b.s
	i := control.Instance{
		Name: s.opt.Name, KeeperPID: s.welcome.KeeperPID, Supervisor: ownPID(), Epoch: s.keeper.epoch, Version: s.opt.Version,
		Keeper: s.welcome.KeeperVersion, Former: s.welcome.Former,
		StateDir: s.opt.StateDir, RuntimeDir: s.opt.RuntimeDir, Limits: s.limits,
	}
	i.Started = time.Now().UTC().Add(s.welcome.Started - clock.Boot()).Truncate(time.Millisecond)
	return i
}

// Services describes services.
func (b backend) Services(names []string) ([]control.Service, error) {
	var out []control.Service
	var failed error
	err := b.call(func() {
		list := names
		if len(list) == 0 {
			list = b.s.names
		}
		for _, name := range list {
			v, ok := b.s.services[name]
			if !ok {
				failed = b.s.noService("find", name)
				return
			}
			out = append(out, v.describe(clock.Boot()))
		}
	})
	if err == nil {
		err = failed
	}
	return out, err
}

func (v *service) describe(now time.Duration) control.Service {
	st := v.output.Stats()
	c := control.Service{
		Service: v.cfg.Name, State: v.life.State.String(), Instance: v.life.Instance, Restarts: v.life.Restarts,
		Ready: v.life.Ready && len(v.unready) == 0, Cause: string(v.life.Cause), Since: time.Now().UTC().Add(v.life.Since - now),
		Sentence: v.sentence, Status: v.status, Incident: v.incident, Desired: "down", Cgroup: v.started.Cgroup,
		Notified: v.notified, Refused: v.refused, Command: snapshot.MaskArguments(v.cfg.Command), Limitation: v.limitations(st),
		Output: control.Output{Bytes: uint64(st.Bytes), Lines: uint64(st.Lines), DroppedBytes: uint64(st.Dropped.Bytes), DroppedLines: uint64(st.Dropped.Lines), File: v.output.Path()},
	}
	if v.life.Up {
		c.Desired = "up"
	}
	if v.life.Alive {
		c.PID, c.Uptime = v.started.PID, (now - v.started.Boot).Seconds()
	}
	if v.life.LastExit != nil {
		code := shellCode(*v.life.LastExit)
		c.ExitCode = &code
	}
	if v.life.State == lifecycle.Backoff && v.life.Deadline > now {
		c.NextStart = (v.life.Deadline - now).Seconds()
	}
	v.describeOrder(&c)
	c.Heartbeat = v.heartbeat(now)
	c.Signs, c.SignsMore = signsOf(v.watch.List(now))
	return c
}

// signsOf tells the signs, the worst first.
func signsOf(list []watchdog.Standing) (signs []control.Sign, more int) {
	slices.SortStableFunc(list, func(a, b watchdog.Standing) int { return int(b.State) - int(a.State) })
	if len(list) > control.MaxSigns {
		list, more = list[:control.MaxSigns], len(list)-control.MaxSigns
	}
	for _, s := range list {
		state := s.State.String()
		if s.Suspended {
			state = "suspended"
		}
		signs = append(signs, control.Sign{Name: s.Name, Kind: s.Kind, State: state, Age: s.Age.Seconds(), Limit: s.Limit.Seconds(), Text: s.Text})
	}
	return signs, more
}

// limitations are what this machine or user does not allow, and a file that
// cannot be written right now.
func (v *service) limitations(st logs.Stats) []string {
	all := v.limits[:len(v.limits):len(v.limits)]
	if st.Failing {
		all = append(all, fmt.Sprintf("output is not written to its file: %v (%d bytes wait, %d were dropped)", st.LastError, st.Waiting, st.Dropped.Bytes))
	}
	if st.CompressError != nil {
		all = append(all, fmt.Sprintf("rotated output is not compressed: %v", st.CompressError))
	}
	return all
}

func (v *service) heartbeat(now time.Duration) *control.Heartbeat {
	if v.limit == 0 || v.cfg.Heartbeat.File != "" {
		return nil
	}
	h := &control.Heartbeat{Limit: v.limit.Seconds(), Suspect: v.suspectAfter().Seconds(), State: "waiting"}
	sign := v.watch.beats.Get(heartbeatSign)
	if sign == nil {
		return h
	}
	h.Age = (now - sign.Last()).Seconds()
	switch {
	case sign.Suspended():
		h.State = "suspended"
	case sign.State() == watchdog.Healthy:
		h.State = "ok"
	default:
		h.State = "suspect"
	}
	return h
}

// Ask changes services.
func (b backend) Ask(ctx context.Context, a control.Ask) ([]control.Result, error) {
	var waits []*waiter
	var failed error
	err := b.call(func() { waits, failed = b.s.askAll(a) })
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	out := make([]control.Result, 0, len(waits))
	for _, w := range waits {
		select {
		case r := <-w.done:
			out = append(out, r)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-b.s.ctx.Done():
			return nil, control.ErrShutdown
		}
	}
	return out, nil
}

// Logs emits the kept lines, then new ones.
func (b backend) Logs(ctx context.Context, name string, lines int, follow bool, emit func(control.Line) error) error {
	var f *logs.Follower
	var instance uint64
	err := b.call(func() {
		v, ok := b.s.services[name]
		if !ok {
			return
		}
		instance = v.life.Instance
		f = v.output.Follow(lines)
	})
	if err != nil {
		return err
	}
	if f == nil {
		return fmt.Errorf("cannot show output of %q: %w", name, control.ErrNotFound)
	}
	defer f.Close()
	if err := (follower{f, instance, follow, emit}).run(ctx); err != nil || b.s.ctx.Err() == nil {
		return err
	}
	return control.ErrShutdown
}

// follower copies lines to a client.
type follower struct {
	f        *logs.Follower
	instance uint64
	follow   bool
	emit     func(control.Line) error
}

func (c follower) run(ctx context.Context) error {
	if !c.follow {
		// What is kept is there at once; nothing else is waited for.
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel()
	}
	for {
		lines, dropped, err := c.f.Next(ctx)
		for _, l := range lines {
			if err := c.emit(control.Line{Time: l.Wall.UTC(), Instance: c.instance, Stream: l.Stream.String(), Text: l.Text}); err != nil {
				return err
			}
		}
		if dropped > 0 {
			text := fmt.Sprintf("[%d lines were not shown: this reader is too slow]", dropped)
			if err := c.emit(control.Line{Time: time.Now().UTC(), Instance: c.instance, Stream: "vigil", Text: text}); err != nil {
				return err
			}
		}
		if err != nil {
			return nil //nolint:nilerr // the end of the request or of the output
		}
	}
}

// Events emits what happened, then what happens.
func (b backend) Events(ctx context.Context, follow bool, emit func(control.Event) error) error {
	var past []control.Event
	var ch chan control.Event
	err := b.call(func() {
		past = append(past, b.s.events.list...)
		if follow {
			ch = b.s.events.follow()
		}
	})
	if err != nil {
		return err
	}
	for _, e := range past {
		if err := emit(e); err != nil {
			return err
		}
	}
	if !follow {
		return nil
	}
	defer func() { _ = b.call(func() { b.s.events.unfollow(ch) }) }()
	for {
		select {
		case e := <-ch:
			if err := emit(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		case <-b.s.ctx.Done():
			return control.ErrShutdown
		}
	}
}
