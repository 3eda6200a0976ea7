package supervisor

import (
	"context"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
	"github.com/vigil-supervisor/vigil/supervisor/probe"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// probing asks one probe of one instance, and has the answers judged. Attempts
// are made beside the loop, one at a time.
type probing struct {
	v         *service
	cfg       config.Probe
	rule      *watchdog.Probe
	runner    probe.Runner
	attempt   int // the number of the last one; answers of others are late
	cancel    context.CancelFunc
	sent      bool // the question of the attempt is with the service
	withdrawn bool // its answer says nothing; it may still be under way
	judged    bool // a rule about threads depends on it
	over      bool
}

// armProbes begins to ask, as soon as there is a process: a service may be ready
// by a probe.
func (v *service) armProbes() {
	if len(v.cfg.Probes) == 0 || v.probes != nil || v.started.PID == 0 {
		return
	}
	for _, cfg := range v.cfg.Probes {
		runner, err := v.runnerOf(cfg)
		if err != nil {
			v.s.event(v.cfg.Name, "alert", "probe "+cfg.Name+" is not asked: "+err.Error())
			continue
		}
		p := &probing{v: v, cfg: cfg, runner: runner, rule: watchdog.NewProbe(watchdog.ProbeRule{
			Name: cfg.Name, Period: cfg.Period, Timeout: cfg.Timeout, StartPeriod: cfg.StartPeriod,
			FailureThreshold: cfg.FailureThreshold, SuccessThreshold: cfg.SuccessThreshold,
			Readiness: cfg.Use == config.UseReadiness, Cluster: cfg.Scope == config.ScopeCluster,
		}, v.cfg.Name, clock.Boot())}
		p.judged = slices.ContainsFunc(v.cfg.Threads, func(t config.Thread) bool { return t.While == cfg.Name || t.After == cfg.Name })
		v.probes = append(v.probes, p)
		v.watch.others = append(v.watch.others, p)
	}
}

// upProbes lets failures count. The start period begins when the service came up,
// also for a supervisor that has taken over since.
func (v *service) upProbes() {
	for _, p := range v.probes {
		p.rule.Up(v.life.Since)
	}
}

// endProbes stops asking.
func (v *service) endProbes() {
	for _, p := range v.probes {
		p.over = true
		p.withdraw()
		go p.runner.Close()
	}
	v.probes, v.unready = nil, nil
}

// runnerOf makes what asks.
func (v *service) runnerOf(cfg config.Probe) (probe.Runner, error) {
	switch {
	case cfg.Exec != nil:
		env := config.Environment(v.cfg, os.Environ())
		cred, err := credentialOf(v.cfg, &env)
		if err != nil {
			return nil, err
		}
		e := probe.Exec{Command: cfg.Exec, Dir: v.cfg.Directory, Env: env, Cgroup: v.started.Cgroup}
		if cred != nil {
			e.Credential = &syscall.Credential{Uid: cred.UID, Gid: cred.GID, Groups: cred.Groups}
		}
		return probe.NewExec(e), nil
	case cfg.HTTP != nil:
		h := cfg.HTTP
		return probe.NewHTTP(probe.HTTP{
			URL: h.URL, Unix: h.Unix, Method: h.Method, Headers: h.Headers, Status: h.Status, Body: h.Body, Header: h.Header,
			Insecure: h.Insecure, CA: h.CA, ServerName: h.ServerName,
		})
	case cfg.ZooKeeper != nil:
		return probe.NewZooKeeper(probe.ZooKeeper{Address: cfg.ZooKeeper.Address, Canary: cfg.ZooKeeper.Canary}), nil
	}
	return probe.NewTCP(probe.TCP{Address: cfg.TCP.Address}), nil
}

// Next is when to ask.
func (p *probing) Next() (time.Duration, bool) { return p.rule.Next() }

// Check asks. The answer is judged when it is there.
func (p *probing) Check(now time.Duration) []watchdog.Verdict {
	p.rule.Begin(now)
	p.attempt++
	p.sent, p.withdrawn = false, false
	ask, n := p.ask, p.attempt
	if p.judged {
		// What the threads do from now on is compared with how they stand now.
		p.v.threads.before(func() { ask(n) })
	} else {
		ask(n)
	}
	return nil
}

func (p *probing) ask(n int) {
	switch {
	case p.over || n != p.attempt:
		return
	case p.withdrawn:
		p.rule.Withdrawn(clock.Boot())
		return
	}
	ctx, cancel := context.WithTimeout(p.v.s.ctx, p.rule.Timeout())
	p.cancel = cancel
	go func() {
		defer cancel()
		r := p.runner.Attempt(ctx, func() { p.v.s.post(func() { p.demanded(n) }) })
		p.v.s.post(func() { p.answered(n, r) })
	}()
}

// demanded: the question has reached the service.
func (p *probing) demanded(n int) {
	if p.over || n != p.attempt || p.withdrawn || p.sent {
		return
	}
	p.sent = true
	if t := p.v.threads; t != nil {
		t.rules.Demand(clock.Boot(), p.cfg.Name)
		t.judge()
	}
}

func (p *probing) answered(n int, r probe.Result) {
	now := clock.Boot()
	switch {
	case p.over || n != p.attempt:
		return
	case p.withdrawn:
		p.rule.Withdrawn(now) // only now the next one may begin
		return
	}
	if t := p.v.threads; t != nil {
		switch {
		case p.sent:
			t.rules.Answered(now, p.cfg.Name, r.OK)
		default:
			t.rules.Withdrawn(p.cfg.Name)
		}
		if p.cfg.ZooKeeper != nil && r.Heard {
			t.rules.Role(now, r.Role)
		}
		t.judge()
	}
	if p.over {
		return // the threads have ended it
	}
	p.changed(p.rule.Done(now, r.OK, r.Text))
}

// changed acts on what an answer has changed.
func (p *probing) changed(c watchdog.ProbeChange) {
	v := p.v
	if c.Ready || c.Unready {
		v.onReadiness(p.cfg, c.Ready)
	}
	v.onVerdicts(c.Verdicts)
	if c.Failed != "" {
		v.onClusterFailed(c.Failed)
	}
}

// askAgain asks at once, for a rule about threads to which that would tell more.
func (v *service) askAgain(probe string) {
	for _, p := range v.probes {
		if p.cfg.Name == probe {
			p.rule.AskNow(clock.Boot())
		}
	}
}

// withdraw gives the attempt under way up.
func (p *probing) withdraw() {
	p.withdrawn = true
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
}

// Suspend stops asking: the service is held, by us or by somebody else.
func (p *probing) Suspend() {
	p.withdraw()
	p.rule.Suspend()
}

// Resume asks again.
func (p *probing) Resume(now time.Duration) []watchdog.Verdict { return p.rule.Resume(now) }

// List is for `vigil status`.
func (p *probing) List(now time.Duration) []watchdog.Standing {
	return []watchdog.Standing{p.rule.Standing(now)}
}

// onReadiness takes what a probe says of readiness.
func (v *service) onReadiness(cfg config.Probe, ready bool) {
	if ready && v.cfg.Ready.Probe == cfg.Name && v.life.State == lifecycle.Starting {
		v.step(lifecycle.Event{Kind: lifecycle.EventReady, Instance: v.life.Instance})
		v.arm()
	}
	if cfg.Use != config.UseReadiness || ready == !slices.Contains(v.unready, cfg.Name) {
		return
	}
	if ready {
		v.unready = slices.DeleteFunc(v.unready, func(name string) bool { return name == cfg.Name })
		v.s.event(v.cfg.Name, "ready", "probe "+cfg.Name+" succeeds again")
		return
	}
	v.unready = append(v.unready, cfg.Name)
	v.s.event(v.cfg.Name, "unready", "probe "+cfg.Name+" fails: the service runs and is not called ready")
}

// onClusterFailed: what the whole cluster does is not proof against this service.
// With local evidence it is.
func (v *service) onClusterFailed(text string) {
	if v.threads != nil {
		if e, ok := v.threads.rules.Evidence(); ok {
			v.confirm(e.Cause, e.Text+"; "+text)
			return
		}
	}
	v.s.event(v.cfg.Name, "alert", text+"; nothing here speaks against this service itself, so it is not restarted")
	v.keepStall(text + "; not restarted, for want of local evidence")
}

// proven reports whether a suspicion is proof enough, together with a probe of
// the cluster that has failed.
func (v *service) proven(d watchdog.Verdict) (text string, ok bool) {
	if d.Cause != snapshot.CauseThreadLost && d.Cause != snapshot.CauseThreadStuck {
		return "", false
	}
	for _, p := range v.probes {
		if failed, ok := p.rule.Failed(); ok && p.cfg.Scope == config.ScopeCluster {
			return d.Text + "; " + failed, true
		}
	}
	return "", false
}
