package analyze

import (
	"fmt"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Deadlock is a cycle in a sentence: "2 goroutines deadlocked on sync.Mutex: g7
// (main.pay bank.go:40) holds a.mu and waits for b.mu, g8 holds b.mu and waits
// for a.mu; 50 more wait behind them". Locks are named by their names where
// those are known, else by type and address; threads by theirs. "likely" stands
// where a holder is inferred.
func Deadlock(s snapshot.Stacks, c snapshot.Cycle) string {
	if len(c.Members) == 0 {
		return ""
	}
	edges := edgesOf(s.Waits, c.Members)
	d := describer{names: namesOf(s, c.Members), edges: edges, others: othersOf(s.Waits, edges), goroutines: s.Runtime == "go" || s.Runtime == ""}
	likely := ""
	if !c.Certain {
		likely = "likely "
	}
	noun := "thread"
	if d.goroutines {
		noun = "goroutine"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %sdeadlocked on %s: ", count(len(c.Members), noun), likely, d.kinds(c.Members))
	for i, id := range c.Members[:min(len(c.Members), maxNamed)] {
		if i > 0 {
			b.WriteString(", ")
		}
		d.member(&b, c.Members, i, id)
	}
	if more := len(c.Members) - maxNamed; more > 0 {
		fmt.Fprintf(&b, ", and so on over %s more back to %s", number(more), d.name(c.Members[0]))
	}
	if c.Behind > 0 {
		fmt.Fprintf(&b, "; %s more %s behind %s", number(c.Behind), verb(c.Behind, "waits", "wait"), verb(len(c.Members), "it", "them"))
	}
	return b.String()
}

// describer words the members of one cycle.
type describer struct {
	names      map[int64]string
	edges      map[[2]int64]snapshot.Wait
	others     map[int64]int // how many more than the next could end the wait of a member
	goroutines bool
}

func (d describer) member(b *strings.Builder, members []int64, i int, id int64) {
	n := len(members)
	before, next := members[(i+n-1)%n], members[(i+1)%n]
	in, out := d.edges[[2]int64{before, id}], d.edges[[2]int64{id, next}]
	b.WriteString(d.name(id))
	if out.Place != nil {
		fmt.Fprintf(b, " (%s)", place(*out.Place))
	}
	if n == 1 {
		fmt.Fprintf(b, " waits for %s, which it holds itself", d.lock(out))
		return
	}
	if again(out, in) {
		fmt.Fprintf(b, " holds %s for reading and waits for it once more, behind the writer %s", d.lock(in), d.name(next))
		return
	}
	if heldKind(in.Kind) && !again(in, out) {
		fmt.Fprintf(b, " holds %s and", d.lock(in))
	}
	if heldKind(out.Kind) {
		fmt.Fprintf(b, " waits for %s", d.lock(out))
		return
	}
	who := d.name(next)
	if n := d.others[id]; n > 0 {
		who += fmt.Sprintf(" or %s more", number(n))
	}
	if isChannel(out.Kind) {
		b.WriteString(channel(out, who))
		return
	}
	fmt.Fprintf(b, " waits in %s for %s", d.lock(out), who)
}

// again reports whether a reader wants a lock of Go once more, for which a writer
// waits that the reader holds up.
func again(reader, writer snapshot.Wait) bool {
	return reader.Kind == "sync.RWMutex.RLock" && writer.Kind == "sync.RWMutex.Lock" && reader.Address == writer.Address
}

// name is "g7", or "thread main".
func (d describer) name(id int64) string {
	if d.goroutines {
		return fmt.Sprintf("g%d", id)
	}
	if name := d.names[id]; name != "" {
		return "thread " + name
	}
	return fmt.Sprintf("thread %d", id)
}

// lock is the name of a lock. When two of a cycle have the same name, as classes
// of Java may be, their addresses are told with it.
func (d describer) lock(w snapshot.Wait) string {
	name := w.Name
	if name == "" {
		name = lockName(w.Kind)
		if w.Address != 0 {
			name += fmt.Sprintf(" %#x", w.Address)
		}
		return name
	}
	for _, other := range d.edges {
		if other.Name == w.Name && other.Address != w.Address {
			return fmt.Sprintf("%s %#x", name, w.Address)
		}
	}
	if !heldKind(w.Kind) {
		name = w.Kind + " " + name
	}
	return name
}

// kinds names the kinds of a cycle's edges, in the order of its members.
func (d describer) kinds(members []int64) string {
	var list []string
	for i, id := range members {
		kind := kindName(d.edges[[2]int64{id, members[(i+1)%len(members)]}].Kind)
		if kind != "" && !strings.Contains(strings.Join(list, ", "), kind) && len(list) < maxNamed {
			list = append(list, kind)
		}
	}
	if len(list) == 0 {
		return "each other"
	}
	return strings.Join(list, ", ")
}

// heldKind reports whether what is waited for is held by somebody, as a lock is;
// a channel is not.
func heldKind(kind string) bool {
	return kind != "" && !strings.HasPrefix(kind, "chan ") && !strings.HasPrefix(kind, "select") &&
		!strings.HasPrefix(kind, "sync.WaitGroup") && !strings.HasPrefix(kind, "sync.Cond") && kind != "join"
}

// edgesOf is the edges between members, by both ends. A certain one counts
// before an inferred one.
func edgesOf(waits []snapshot.Wait, members []int64) map[[2]int64]snapshot.Wait {
	next := make(map[int64]int64, len(members))
	for i, id := range members {
		next[id] = members[(i+1)%len(members)]
	}
	out := make(map[[2]int64]snapshot.Wait, len(members))
	for _, w := range waits {
		if to, in := next[w.Waiter]; !in || to != w.Holder {
			continue
		}
		key := [2]int64{w.Waiter, w.Holder}
		if old, ok := out[key]; !ok || (w.Certain && !old.Certain) {
			out[key] = w
		}
	}
	return out
}

// namesOf is the names of threads among these.
func namesOf(s snapshot.Stacks, ids []int64) map[int64]string {
	want := make(map[int64]bool, len(ids))
	for _, id := range ids {
		want[id] = true
	}
	out := make(map[int64]string, len(ids))
	for _, t := range s.Threads {
		if id := int64(t.TID); want[id] {
			out[id] = t.Comm
		}
	}
	for _, g := range s.Groups {
		for _, m := range g.Members {
			if want[m.ID] && m.Name != "" {
				out[m.ID] = m.Name
			}
		}
	}
	return out
}
