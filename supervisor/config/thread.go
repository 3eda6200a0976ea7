package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Thread is one rule about threads of the main process. Fields are named after
// the keys.
type Thread struct {
	Name    string        `json:"name"`    // alternatives of globs: "ProcessThread*|FollowerRequest*"
	Expect  string        `json:"expect"`  // ExpectPresent, ExpectProgress
	Minimum int           `json:"minimum"` // of matching threads
	Within  time.Duration `json:"within"`
	Unless  string        `json:"unless,omitempty"`
	Roles   []string      `json:"roles,omitempty"` // of the zookeeper probe
	While   string        `json:"while,omitempty"` // a probe
	After   string        `json:"after,omitempty"` // a probe

	seen *seen
}

// What a rule about threads expects.
const (
	ExpectPresent  = "present"
	ExpectProgress = "progress"
)

// roleNames are what the zookeeper probe can report.
var roleNames = []string{"leader", "follower", "observer", "standalone"}

func openThread(t target, s *seen) target {
	t.service.Threads = append(t.service.Threads, Thread{Expect: ExpectPresent, Minimum: 1, Within: 5 * time.Second, seen: s})
	t.thread = &t.service.Threads[len(t.service.Threads)-1]
	return t
}

func threadRows() []row {
	return []row{
		textRow("name", "required", "Globs over the names of threads, alternatives by a bar. The kernel keeps 15 bytes of a name (proc_pid_comm(5)), which is what is matched.",
			func(t *target) *string { return &t.thread.Name }),
		choiceRow("expect", "present: as many threads as minimum says must exist, once that many have been seen. progress: one of them must be switched to, for a thread that runs or waits in turns.",
			func(t *target) *string { return &t.thread.Expect }, ExpectPresent, ExpectProgress),
		intRow("minimum", "1", "How many must exist.", 1, maxThreads, func(t *target) *int { return &t.thread.Minimum }),
		durationRow("within", `"5s"`, "How long they may be missing or stand still.", 10*time.Millisecond, func(t *target) *time.Duration { return &t.thread.Within }),
		textRow("unless", "always", "The rule does not hold while there is a thread of such a name.", func(t *target) *string { return &t.thread.Unless }),
		listRow("roles", "any", "The rule holds only while the zookeeper probe reports one of these roles: leader, follower, observer, standalone.",
			func(t *target) *[]string { return &t.thread.Roles }),
		textRow("while", "always", "Progress is demanded only while the probe of this name waits for an answer: for a thread that sleeps without work.",
			func(t *target) *string { return &t.thread.While }),
		textRow("after", "", "Progress is demanded once for every answer that the probe of this name gets: for a thread whose work is needed and not waited for.",
			func(t *target) *string { return &t.thread.After }),
	}
}

func (s *Service) settleThreads(d *decoder) {
	for i := range s.Threads {
		s.Threads[i].settle(d, s)
	}
}

func (r *Thread) settle(d *decoder, s *Service) {
	if r.Name == "" && r.seen.sound("thread.name") {
		d.fail(r.seen.place("thread.name"), "a rule about threads needs a name, as \"ProcessThread*\"")
	}
	if (r.While != "" || r.After != "") && r.Expect != ExpectProgress && r.seen.sound("thread.expect") {
		d.fail(r.seen.place("thread.expect"), "while and after need expect = \"progress\"")
	}
	if r.While != "" && r.After != "" {
		d.fail(r.seen.place("thread.after"), "a rule has while or after, not both")
	}
	if r.Expect == ExpectProgress && r.Minimum != 1 {
		d.fail(r.seen.place("thread.minimum"), "minimum is for expect = \"present\"")
	}
	for _, role := range r.Roles {
		if !slices.Contains(roleNames, role) {
			d.fail(r.seen.place("thread.roles"), "%q is not a role (%s)", role, "leader, follower, observer, standalone")
		}
	}
	r.needsProbes(d, s)
}

// needsProbes finds rules about probes that are not there.
func (r *Thread) needsProbes(d *decoder, s *Service) {
	for _, one := range []struct{ key, name string }{{"thread.while", r.While}, {"thread.after", r.After}} {
		at := slices.IndexFunc(s.Probes, func(p Probe) bool { return p.Name == one.name })
		switch {
		case one.name == "" || !s.seen.sound("probe"):
		case at < 0:
			d.fail(r.seen.place(one.key), "there is no probe %q%s", one.name, suggest(one.name, s.probeNames()))
		case s.Probes[at].TCP != nil:
			d.fail(r.seen.place(one.key), "probe %q only connects: the kernel answers that, whatever the threads do", one.name)
		}
	}
	zookeeper := slices.ContainsFunc(s.Probes, func(p Probe) bool { return p.ZooKeeper != nil })
	if len(r.Roles) > 0 && !zookeeper && s.seen.sound("probe") {
		d.fail(r.seen.place("thread.roles"), "roles needs a zookeeper probe, which tells the role")
	}
}

// words is the rule, for the plan.
func (r Thread) words() string {
	text := fmt.Sprintf("%s must be there", quoted(r.Name))
	if r.Minimum > 1 {
		text = fmt.Sprintf("%d of %s must be there", r.Minimum, quoted(r.Name))
	}
	if r.Expect == ExpectProgress {
		text = quoted(r.Name) + " must move"
	}
	if r.While != "" {
		text += ", while probe " + r.While + " waits"
	}
	if r.After != "" {
		text += ", for each success of probe " + r.After
	}
	if len(r.Roles) > 0 {
		text += ", as " + strings.Join(r.Roles, " or ")
	}
	if r.Unless != "" {
		text += ", unless there is " + quoted(r.Unless)
	}
	return text + ", within " + short(r.Within)
}

const (
	maxThreads    = 1 << 16
	maxActivities = 1 << 20
)
