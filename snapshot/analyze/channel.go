package analyze

import (
	"fmt"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// isChannel reports whether a kind of edge is that of a channel of Go: "chan
// send", "select receive".
func isChannel(kind string) bool {
	return strings.HasPrefix(kind, "chan ") || strings.HasPrefix(kind, "select ")
}

// kindName is what a kind of edge is called where many are listed.
func kindName(kind string) string {
	if isChannel(kind) {
		return "channels"
	}
	return lockName(kind)
}

// channel says how a member waits for a channel, and who alone could end that.
func channel(w snapshot.Wait, who string) string {
	name := w.Name
	if name == "" {
		name = "a channel"
		if w.Address != 0 {
			name = fmt.Sprintf("channel %#x", w.Address)
		}
	}
	in := ""
	if strings.HasPrefix(w.Kind, "select ") {
		in = " in a select"
	}
	if strings.HasSuffix(w.Kind, "send") {
		return fmt.Sprintf(" waits%s to send on %s that only %s could receive from", in, name, who)
	}
	return fmt.Sprintf(" waits%s to receive from %s that only %s could send on", in, name, who)
}

// othersOf counts how many more than the next of its cycle could give a member
// what it waits for of that one.
func othersOf(waits []snapshot.Wait, edges map[[2]int64]snapshot.Wait) map[int64]int {
	address := make(map[int64]uint64, len(edges))
	for key, w := range edges {
		address[key[0]] = w.Address
	}
	others := map[int64]int{}
	for _, w := range waits {
		at, in := address[w.Waiter]
		if _, next := edges[[2]int64{w.Waiter, w.Holder}]; in && w.Any && w.Address == at && w.Holder != 0 && !next {
			others[w.Waiter]++
		}
	}
	return others
}
