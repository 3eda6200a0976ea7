package place

import (
	"errors"
	"fmt"
)

// DefaultName is the name of an instance that was given none.
const DefaultName = "default"

// MaxName is the longest name of an instance, in bytes.
const MaxName = 64

// ErrName is wrapped by errors about a name that cannot be one.
var ErrName = errors.New("place: not a valid name")

// CheckName says why name cannot be that of an instance: it becomes the name of
// a directory, and stands in messages. Letters, digits, and after the first
// character also ".", "_", "@" and "-" are good, as in the name of a service.
// Errors wrap ErrName.
func CheckName(name string) error {
	if name == "" {
		return fmt.Errorf("%w: it is empty", ErrName)
	}
	if len(name) > MaxName {
		return fmt.Errorf("%w: %q is longer than %d bytes", ErrName, name[:MaxName]+"...", MaxName)
	}
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if letter || i > 0 && (c == '.' || c == '_' || c == '@' || c == '-') {
			continue
		}
		return fmt.Errorf("%w: %q (letters, digits, and after the first one also . _ @ -)", ErrName, name)
	}
	return nil
}
