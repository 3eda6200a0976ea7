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

// Fingerprint is "v1:" and 16 hexadecimal digits: the same death has the same
// one across restarts and hosts. It is made of the cause and of the blocking
// chain: where the members of the first deadlock wait, else the wait reason and
// the innermost own functions of the first own groups by rank. Addresses, line
// numbers, ids and counts are not in it. stacks may be nil.
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
	return "v1:" + hex.EncodeToString(sum[:8])
}

func deadlockChain(s snapshot.Stacks) []string {
	if len(s.Deadlocks) == 0 {
		return nil
	}
	var chain []string
	for _, w := range s.Waits {
		if slices.Contains(s.Deadlocks[0].Members, w.Waiter) {
			line := w.Kind
			if w.Place != nil {
				line += " " + w.Place.Function
			}
			chain = append(chain, line)
		}
	}
	// Which member comes first depends on ids.
	slices.Sort(chain)
	return chain
}

func groupChain(groups []snapshot.Group) []string {
	ranked := slices.Clone(groups)
	Rank(ranked)
	var chain []string
	for _, g := range ranked {
		if len(chain) == fingerprintGroups || rank(g) > rankActive {
			break
		}
		line := []string{g.Status, g.WaitReason}
		for _, f := range g.Frames {
			if Own(f.Function) && len(line) < 2+fingerprintFrames {
				line = append(line, f.Function)
			}
		}
		if text := strings.Join(line, " "); !slices.Contains(chain, text) {
			chain = append(chain, text)
		}
	}
	slices.Sort(chain)
	return chain
}
