package analyze

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Bounds of what goes into a fingerprint.
const (
	fingerprintGroups = 3
	fingerprintFrames = 4
)

// Fingerprint is "v2:" and 16 hexadecimal digits: the same death has the same
// one across restarts and hosts. It is made of the cause and of the blocking
// chain: where the members of the first deadlock wait, else the wait reason and
// the innermost own functions of the first own groups by rank; of a crash, those
// of what crashed. Names are as another build of the same code spells them.
// Addresses, line numbers, ids and counts are not in it. stacks may be nil.
// Fingerprints of other versions stay valid in the store; they equal none of v2.
func Fingerprint(cause snapshot.Cause, stacks *snapshot.Stacks) string {
	parts := []string{string(cause)}
	if stacks != nil {
		chain := deadlockChain(*stacks)
		if len(chain) == 0 {
			chain = groupChain(stacks.Groups)
		}
		parts = append(parts, chain...)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return "v2:" + hex.EncodeToString(sum[:8])
}

func deadlockChain(s snapshot.Stacks) []string {
	var chain []string
	for _, c := range s.Deadlocks {
		for _, w := range edgesOf(s.Waits, c.Members) {
			line := w.Kind
			if w.Place != nil {
				line += " " + normal(w.Place.Function)
			}
			chain = append(chain, line)
		}
	}
	// Which cycle and which member comes first depends on ids; how many are the
	// same, on how long it went on.
	slices.Sort(chain)
	return slices.Compact(chain)
}

func groupChain(groups []snapshot.Group) []string {
	ranked := slices.Clone(groups)
	Rank(ranked)
	if i := slices.IndexFunc(ranked, func(g snapshot.Group) bool { return g.Crashed }); i >= 0 {
		return []string{strings.Join(ownLine(ranked[i]), " ")}
	}
	var chain []string
	for _, g := range ranked {
		if len(chain) == fingerprintGroups || rank(g) > rankActive {
			break
		}
		if text := strings.Join(ownLine(g), " "); !slices.Contains(chain, text) {
			chain = append(chain, text)
		}
	}
	slices.Sort(chain)
	return chain
}

// ownLine is how a group stands: why it waits and its innermost own functions.
func ownLine(g snapshot.Group) []string {
	status := g.Status
	switch status {
	case "runnable": // whether it had a processor just then is chance
		status = "running"
	case "leaked": // whether the collector came by is chance
		status = "waiting"
	}
	line := []string{status, g.WaitReason}
	for _, f := range g.Frames {
		if ownPlace(f.Place) && len(line) < 2+fingerprintFrames {
			line = append(line, normal(f.Function))
		}
	}
	return line
}
