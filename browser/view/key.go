package view

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Key names a stack by its functions alone, so that it is the same in the next
// incident, on another host, and after an edit elsewhere in a file.
func Key(g *snapshot.Group) string {
	h := sha256.New()
	for _, f := range g.Frames {
		h.Write([]byte(stable(f.Function)))
		h.Write([]byte{0})
	}
	if len(g.Frames) == 0 {
		h.Write([]byte(g.Status + "\x00" + g.WaitReason))
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// ValidKey says whether a text can be a Key.
func ValidKey(s string) bool {
	if len(s) != 24 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// stable leaves out what differs from one build or run to the next: offsets into
// a function, hidden class numbers of a JVM.
func stable(function string) string {
	if i := strings.Index(function, "+0x"); i > 0 {
		function = function[:i]
	}
	if i := strings.Index(function, "/0x"); i > 0 {
		function = function[:i]
	}
	return function
}
