package analyze

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Case is all that a verdict card is made of. What is absent is nil.
type Case struct {
	Incident snapshot.Incident
	Stacks   *snapshot.Stacks
	Process  *snapshot.Process
	World    *snapshot.World
	Suspect  *snapshot.Process // when it was first late
}

// Card draws the verdict card: rules in the order in which they settle a case.
// Each finds something, or says what it has looked for.
func Card(c Case) snapshot.Card {
	d := &drawing{Case: c}
	for _, rule := range []func(*drawing){lost, crashed, deadlocked, stuckInKernel, held, around, blocked, leaking, spinning, ended} {
		rule(d)
	}
	if d.card.Sentence == "" {
		d.card.Sentence, d.card.Confidence = c.Incident.Sentence, snapshot.ConfidenceUnclear
		d.card.Why = "nothing that was taken explains it"
		if c.Stacks == nil {
			d.card.Why = "there are no stacks"
		}
	}
	d.card.Evidence = d.card.Evidence[:min(len(d.card.Evidence), snapshot.MaxCard)]
	d.card.LookAt = d.card.LookAt[:min(len(d.card.LookAt), snapshot.MaxCard)]
	return d.card
}

// drawing is a card while it is being drawn.
type drawing struct {
	Case
	card snapshot.Card
}

// finds adds a fact. The first one is the sentence.
func (d *drawing) finds(confidence, why, text, where string) {
	if d.card.Sentence == "" {
		d.card.Sentence, d.card.Confidence, d.card.Why = text, confidence, why
	}
	d.card.Evidence = append(d.card.Evidence, snapshot.CardFact{Text: text, Where: where})
}

func (d *drawing) lookAt(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(d.card.LookAt, text) {
		d.card.LookAt = append(d.card.LookAt, text)
	}
}

func (d *drawing) not(text string) { d.card.Not = append(d.card.Not, text) }

// noun is what the stacks are of.
func (d *drawing) noun() string {
	if d.Stacks.Runtime == "go" {
		return "goroutine"
	}
	return "thread"
}

// lost: a thread that must exist is gone. Whatever the others do comes of that.
func lost(d *drawing) {
	if d.Incident.Cause != snapshot.CauseThreadLost {
		return
	}
	d.finds(snapshot.ConfidenceCertain, "the thread is not in /proc any more", d.Incident.Sentence, "incident.json")
	d.lookAt("the last lines of its output: what ends a thread is often printed")
}

// crashed: the program said itself why it ends.
func crashed(d *drawing) {
	if d.Stacks == nil || d.Stacks.Crash == nil || d.Stacks.Crash.Signal == "SIGQUIT" {
		return
	}
	c := d.Stacks.Crash
	text := c.Kind
	if c.Message != "" {
		text += ": " + c.Message
	}
	if c.Kind == snapshot.CrashSignal && c.Signal != "" {
		text = "signal " + c.Signal
		if c.Message != "" {
			text += " (" + c.Message + ")"
		}
	}
	if c.Frame != nil {
		text += ", in " + place(*c.Frame)
		d.lookAt("%s", place(*c.Frame))
	}
	d.finds(snapshot.ConfidenceCertain, "the program itself said so", text, "stacks.json: crash")
}

// deadlocked: who waits for whom is a circle.
func deadlocked(d *drawing) {
	if d.Stacks == nil {
		return
	}
	for n, c := range d.Stacks.Deadlocks[:min(len(d.Stacks.Deadlocks), 4)] {
		confidence, why := snapshot.ConfidenceCertain, "the runtime records who owns these locks"
		if !c.Certain {
			confidence, why = snapshot.ConfidenceLikely, "who owns a lock, or has the other side of a channel, was inferred from what is on the stacks"
		}
		d.finds(confidence, why, Deadlock(*d.Stacks, c), fmt.Sprintf("stacks.json: deadlock %d", n+1))
		edges := edgesOf(d.Stacks.Waits, c.Members)
		for i, id := range c.Members[:min(len(c.Members), 4)] {
			if w := edges[[2]int64{id, c.Members[(i+1)%len(c.Members)]}]; w.Place != nil {
				d.lookAt("%s", place(*w.Place))
			}
		}
	}
	if len(d.Stacks.Deadlocks) == 0 {
		d.not("a deadlock of locks whose owner is known")
	}
}

// stuckInKernel: a thread that no signal reaches.
func stuckInKernel(d *drawing) {
	if d.Process == nil {
		return
	}
	found := false
	for _, t := range d.Process.Threads {
		if t.State != "D" || found {
			continue
		}
		found = true
		text := fmt.Sprintf("thread %d (%s) is in an uninterruptible wait in the kernel, at %s", t.TID, t.Comm, firstOf(t.Wchan, "a place that is not told"))
		d.finds(snapshot.ConfidenceLikely, "a thread in that state can be ended by nothing until what it waits for comes", text, fmt.Sprintf("process.json: thread %d", t.TID))
		d.lookAt("the device or file system behind %s (kernel stack of thread %d)", firstOf(t.Wchan, "it"), t.TID)
	}
	if !found {
		d.not("a thread in an uninterruptible wait")
	}
}

// held: many wait for one that is in no circle.
func held(d *drawing) {
	if d.Stacks == nil {
		return
	}
	b, ok := FindBottleneck(d.Stacks.Waits)
	if !ok || b.Behind < 2 {
		return
	}
	confidence, why := snapshot.ConfidenceLikely, "the holder of a lock was inferred from what is on the stacks"
	if b.Certain {
		why = "all of them wait for what it holds; why it does not let go is on its stack"
	}
	name := fmt.Sprintf("g%d", b.Holder)
	if n := namesOf(*d.Stacks, []int64{b.Holder})[b.Holder]; n != "" {
		name = n
	}
	text := fmt.Sprintf("%s wait behind %s, which holds %s", count(b.Behind, d.noun()), name, lockName(b.Wait.Kind))
	where := "stacks.json: waits"
	for n, g := range d.Stacks.Groups {
		if !slices.Contains(g.IDs, b.Holder) {
			continue
		}
		doing := strings.TrimSpace(g.Status + " " + g.WaitReason)
		where = fmt.Sprintf("stacks.json: group %d", n+1)
		if f, own := OwnFrame(g.Frames); own {
			doing += " in " + place(f.Place)
			d.lookAt("%s", place(f.Place))
		}
		text += " and is " + doing
		break
	}
	d.finds(confidence, why, text, where)
}

// around: what stands around the process is broken.
func around(d *drawing) {
	if d.World == nil {
		return
	}
	for _, f := range d.World.Findings {
		d.finds(snapshot.ConfidenceLikely, "what the process depends on is broken, or what limits it is reached", f, "world.json")
	}
	if len(d.World.Findings) == 0 {
		d.not("a peer that does not answer, a full queue, a limit that is reached")
	}
}

// blocked: most of the program's own code stands at one place.
func blocked(d *drawing) {
	if d.Stacks == nil {
		return
	}
	for n, g := range d.Stacks.Groups {
		frame, own := OwnFrame(g.Frames)
		if !own || g.System || g.Idle != "" || !waits(g) || !IsLock(g.WaitReason) && g.WaitReason != "monitor" {
			continue
		}
		text := fmt.Sprintf("%s in %s waiting in %s", count(g.Count, d.noun()), place(frame.Place), firstOf(g.WaitReason, g.Status))
		d.finds(snapshot.ConfidenceLikely, "own code waits for a lock, and who holds it is not known", text, fmt.Sprintf("stacks.json: group %d", n+1))
		d.lookAt("%s", place(frame.Place))
		return
	}
}

// Bounds of what is called a leak: so many alike, and so much of all.
const (
	leakCount = 1000
	leakShare = 0.5
)

// leaking: one stack is most of all.
func leaking(d *drawing) {
	if d.Stacks == nil {
		return
	}
	for n, g := range d.Stacks.Groups {
		if g.System || g.Count < leakCount || float64(g.Count) < leakShare*float64(d.Stacks.Total) {
			continue
		}
		text := fmt.Sprintf("%s stand at one place", count(g.Count, d.noun()))
		if frame, own := OwnFrame(g.Frames); own {
			text += ", " + place(frame.Place)
		}
		if g.CreatedBy != nil {
			text += ", made by " + place(*g.CreatedBy)
			d.lookAt("%s", place(*g.CreatedBy))
		}
		d.finds(snapshot.ConfidenceLikely, "so many alike are seldom meant", text, fmt.Sprintf("stacks.json: group %d", n+1))
		return
	}
}

// spinning: it worked all the time.
func spinning(d *drawing) {
	if d.Suspect != nil && d.Process != nil {
		c := CompareProcess(*d.Suspect, *d.Process)
		if c.Both > 0 {
			d.finds(snapshot.ConfidenceLikely, "threads were looked at when it was first late, and again at the verdict", c.Sentence, "suspect.json and process.json")
		}
	}
	if d.Stacks == nil || d.Incident.Cause != snapshot.CauseHang && d.Incident.Cause != snapshot.CauseThreadStuck {
		return
	}
	for n, g := range d.Stacks.Groups {
		frame, own := OwnFrame(g.Frames)
		if !own || g.System || g.Status != "running" && g.Status != "runnable" {
			continue
		}
		text := fmt.Sprintf("%s %s in %s", count(g.Count, d.noun()), g.Status, place(frame.Place))
		d.finds(snapshot.ConfidenceUnclear, "own code ran at that moment; whether it gets on, one moment does not tell", text, fmt.Sprintf("stacks.json: group %d", n+1))
		d.lookAt("%s", place(frame.Place))
		return
	}
	d.not("own code that runs")
}

// ended: what the end itself tells.
func ended(d *drawing) {
	i := d.Incident
	switch i.Cause {
	case snapshot.CauseOOM:
		d.finds(snapshot.ConfidenceCertain, "the kernel counted it", "the kernel killed it for memory", "incident.json: exit")
		d.lookAt("memory in samples.json and process.json, and the limit of its cgroup")
	case snapshot.CauseKilled:
		d.finds(snapshot.ConfidenceCertain, "the status of its end says so; who sent a SIGKILL is recorded nowhere", i.Sentence, "incident.json: exit")
	case snapshot.CauseExit, snapshot.CauseStartFailed:
		d.finds(snapshot.ConfidenceCertain, "the status of its end says so", i.Sentence, "incident.json: exit")
		d.lookAt("the last lines of its output")
	case snapshot.CauseCrash:
		d.faulted()
		if i.Exit != nil {
			d.finds(snapshot.ConfidenceCertain, "the status of its end says so", i.Sentence, "incident.json: exit")
		}
	case snapshot.CauseStartTimeout, snapshot.CauseProbe, snapshot.CauseThreadStuck:
		d.finds(snapshot.ConfidenceUnclear, "it is what was seen from outside", i.Sentence, "timeline.json")
	}
}

// faulted says where the only thread stood that was in its own code and did not
// wait: a fault comes of what a thread does. Who got the signal is not recorded.
func (d *drawing) faulted() {
	if d.Stacks == nil || d.Stacks.Crash != nil || d.Incident.Exit == nil || d.Incident.Exit.Signal == "" {
		return
	}
	at := -1
	for n, g := range d.Stacks.Groups {
		if _, own := OwnFrame(g.Frames); !own || g.Idle != "" || g.System || waits(g) {
			continue
		}
		if at >= 0 || g.Count != 1 {
			return
		}
		at = n
	}
	if at < 0 {
		return
	}
	f, _ := OwnFrame(d.Stacks.Groups[at].Frames)
	d.finds(snapshot.ConfidenceLikely, "it is the only thread that stood in its own code and did not wait",
		fmt.Sprintf("signal %s, in %s", d.Incident.Exit.Signal, place(f.Place)), fmt.Sprintf("stacks.json: group %d", at+1))
	d.lookAt("%s", place(f.Place))
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
