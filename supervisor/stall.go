package supervisor

import (
	"fmt"
	"os"
	"time"

	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/analyze"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// stall is a suspicion: light evidence was taken, and nothing was done. It
// becomes an incident of its own when the service recovers, and a part of the
// incident when it does not.
type stall struct {
	at       time.Duration // CLOCK_BOOTTIME
	wall     time.Time
	instance uint64
	pid      int
	sentence string
	seen     chan lightLook // of the one look; buffered
}

type lightLook struct {
	process snapshot.Process
	err     error
}

// Bounds of what is kept of stalls: a service that is often late must not fill
// the store with it.
const (
	maxStalls   = 6
	stallWindow = time.Hour
	lookTime    = 2 * time.Second
)

// stalls counts what was kept lately.
type stalls struct {
	kept    []time.Duration
	dropped uint64
}

// may reports whether one more may be kept at now.
func (s *stalls) may(now time.Duration) bool {
	for len(s.kept) > 0 && now-s.kept[0] >= stallWindow {
		s.kept = s.kept[1:]
	}
	if len(s.kept) >= maxStalls {
		s.dropped++
		return false
	}
	s.kept = append(s.kept, now)
	return true
}

// beginStall takes light evidence at the first suspicion.
func (v *service) beginStall(sentence string) {
	if v.started.PID == 0 || v.stall != nil && v.stall.instance == v.started.Instance {
		return
	}
	now := clock.Boot()
	st := &stall{at: now, wall: time.Now().UTC(), instance: v.started.Instance, pid: v.started.PID, sentence: sentence, seen: make(chan lightLook, 1)}
	v.stall = st
	go func() {
		p, err := lookLightly(st.pid)
		st.seen <- lightLook{p, err}
	}()
}

// look waits for the light evidence, for a moment.
func (st *stall) look() (snapshot.Process, error) {
	limit := time.NewTimer(lookTime)
	defer limit.Stop()
	select {
	case l := <-st.seen:
		st.seen <- l
		return l.process, l.err
	case <-limit.C:
		return snapshot.Process{}, fmt.Errorf("cannot look at pid %d: /proc did not answer within %s", st.pid, lookTime)
	}
}

// endStall keeps a suspicion that was unfounded: how long the service stood
// still, and what it looked like then.
func (v *service) endStall(recovery string) {
	if v.stall != nil {
		v.keepStall(v.stall.sentence + "; recovered: " + recovery)
	}
}

// keepStall makes an incident of the suspicion at present.
func (v *service) keepStall(sentence string) {
	st := v.stall
	v.stall = nil
	if st == nil || st.instance != v.started.Instance || v.s.store == nil {
		return
	}
	now := clock.Boot()
	if !v.stalls.may(now) {
		v.s.event(v.cfg.Name, "stall", fmt.Sprintf("it recovered; not kept: %d stalls were kept within the last %s, %d were not", maxStalls, human(stallWindow), v.stalls.dropped))
		return
	}
	host, _ := os.Hostname()
	incident := snapshot.Incident{
		Schema: snapshot.SchemaVersion, Service: v.cfg.Name, Instance: st.instance, PID: st.pid, Time: st.wall, Host: host,
		Cause: snapshot.CauseStall, Sentence: sentence, Command: snapshot.MaskArguments(v.cfg.Command),
		Uptime: snapshot.SecondsOf(st.at - v.started.Boot), Vigil: v.s.opt.Version, Ran: []snapshot.Ran{}, Files: []snapshot.FileInfo{},
		Program: &snapshot.Program{Path: v.exe, Runtime: v.runtime},
	}
	incident.Fingerprint = analyze.Fingerprint(incident.Cause, nil)
	moments := v.timeline.copy()
	output, masked := outputOf(v.inst)
	incident.Masked = masked
	policy := v.s.retention()
	s, service := v.s, v.cfg.Name
	go func() {
		done, err := st.keep(s.store, incident, moments, output)
		var pruned []store.Removal
		if err == nil {
			pruned = s.prune(policy)
		}
		s.post(func() {
			if err != nil {
				s.event(service, "alert", "cannot keep the stall: "+err.Error())
				return
			}
			s.event(service, "stall", done.ID+" "+string(done.Status)+": "+done.Sentence)
			s.tellPruned(pruned)
		})
	}()
}

// keep writes the incident of a stall.
func (st *stall) keep(to *store.Store, i snapshot.Incident, moments []snapshot.Moment, output string) (snapshot.Incident, error) {
	w, err := to.Begin(store.Subject{Service: i.Service, Instance: i.Instance, PID: i.PID, Cause: i.Cause, Sentence: i.Sentence}, i.Time)
	if err != nil {
		return i, err
	}
	i.ID = w.ID()
	missing := func(what string, err error) {
		if err != nil {
			i.Missing = append(i.Missing, what+": "+err.Error())
		}
	}
	process, err := st.look()
	if err == nil {
		err = w.WriteJSON(snapshot.FileProcess, process)
	}
	missing("process", err)
	missing("timeline", w.WriteJSON(snapshot.FileTimeline, moments))
	if output != "" {
		missing("last output", w.WriteFile(snapshot.FileOutput, []byte(output)))
	}
	i.Status = snapshot.StatusComplete
	if len(i.Missing) > 0 {
		i.Status = snapshot.StatusPartial
	}
	return w.Complete(i)
}

// keepSuspicion puts what was seen at the first suspicion into the incident that
// it led to.
func (j *job) keepSuspicion() {
	if j.suspicion == nil {
		return
	}
	process, err := j.suspicion.look()
	if err == nil {
		err = j.writing.WriteJSON(snapshot.FileSuspect, process)
	}
	if err != nil {
		j.missing("light evidence of the suspicion: " + err.Error())
	}
}
