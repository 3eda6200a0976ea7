package manager

import (
	"errors"
	"fmt"
	"strings"
)

// maxName is the longest name of a stored descriptor, FDNAME_MAX of systemd.
const maxName = 255

// ErrName says that something is not, or cannot be, the name of a stored
// descriptor.
var ErrName = errors.New("manager: not usable as the name of a stored descriptor")

// checkName holds a name to what systemd takes as FDNAME= (sd_notify(3)): ASCII
// without control characters and colons, 1 to 255 bytes.
func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("cannot use a name of %d bytes: %w", len(name), ErrName)
	}
	for i := range len(name) {
		if c := name[i]; c < ' ' || c >= 0x7f || c == ':' {
			return fmt.Errorf("cannot use name %q: %w", name, ErrName)
		}
	}
	return nil
}

// JoinName makes one name of parts, such as service, instance and kind:
// "web/3/stdout". What a name cannot hold becomes %XX, so that any parts come
// back from SplitName as they were. ErrName: no parts, an empty one, or more
// than 255 bytes in all.
func JoinName(parts ...string) (string, error) {
	var b strings.Builder
	for i, part := range parts {
		if part == "" {
			return "", fmt.Errorf("cannot join %q: empty part: %w", parts, ErrName)
		}
		if i > 0 {
			b.WriteByte('/')
		}
		escape(&b, part)
	}
	name := b.String()
	if name == "" || len(name) > maxName {
		return "", fmt.Errorf("cannot join %.300q: %d bytes: %w", parts, len(name), ErrName)
	}
	return name, nil
}

const hexDigits = "0123456789ABCDEF"

func escape(b *strings.Builder, part string) {
	for i := range len(part) {
		if c := part[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
}

// plain says whether a byte stands for itself.
func plain(c byte) bool {
	return c > ' ' && c < 0x7f && c != ':' && c != '/' && c != '%'
}

// SplitName undoes JoinName. It refuses, with ErrName, whatever JoinName does
// not make; names of others' descriptors, such as a socket unit's, may have
// one part or be refused.
func SplitName(name string) ([]string, error) {
	if len(name) > maxName {
		return nil, fmt.Errorf("cannot split a name of %d bytes: %w", len(name), ErrName)
	}
	var parts []string
	for escaped := range strings.SplitSeq(name, "/") {
		part, ok := unescape(escaped)
		if !ok {
			return nil, fmt.Errorf("cannot split name %q: %w", name, ErrName)
		}
		parts = append(parts, part)
	}
	return parts, nil
}

func unescape(s string) (string, bool) {
	var b []byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if len(s)-i < 3 {
				return "", false
			}
			high, low := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			c = byte(high<<4 | low)
			i += 2
			if plain(c) { // would not be escaped
				return "", false
			}
		} else if !plain(c) {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), len(b) > 0
}
