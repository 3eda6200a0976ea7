package store

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"
)

// idTime is the time in an id: UTC, microseconds, sortable as text.
const idTime = "20060102T150405.000000Z"

// Bounds of an id: time, "-", service, "-", four hexadecimal digits.
const (
	maxService = 64
	suffixLen  = 5
	maxID      = len(idTime) + 1 + maxService + suffixLen
)

// newID makes an id. It is unique only once a directory of that name exists.
func newID(service string, now time.Time) string {
	var random [2]byte
	// crypto/rand.Read never fails: it ends the program rather than that.
	_, _ = rand.Read(random[:])
	return now.UTC().Format(idTime) + "-" + sanitise(service) + "-" + hex.EncodeToString(random[:])
}

// sanitise makes a service name fit for a file name.
func sanitise(service string) string {
	var b strings.Builder
	for _, r := range service {
		if b.Len() == maxService {
			break
		}
		if r > 127 || !isIDByte(byte(r)) {
			r = '_'
		}
		b.WriteRune(r)
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}

func isIDByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-'
}

// parseID takes an id apart. It is the only gate between a name from outside
// and a path: an id has no slash and starts with a digit, so it cannot leave
// the store nor name a hidden entry.
func parseID(id string) (at time.Time, service string, ok bool) {
	if len(id) > maxID || len(id) < len(idTime)+1+1+suffixLen {
		return time.Time{}, "", false
	}
	for i := range len(id) {
		if !isIDByte(id[i]) {
			return time.Time{}, "", false
		}
	}
	at, err := time.Parse(idTime, id[:len(idTime)])
	rest := id[len(idTime):]
	if err != nil || rest[0] != '-' || rest[len(rest)-suffixLen] != '-' {
		return time.Time{}, "", false
	}
	return at, rest[1 : len(rest)-suffixLen], true
}

func validID(id string) bool {
	_, _, ok := parseID(id)
	return ok
}
