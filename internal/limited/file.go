// Package limited reads files whose size somebody else decides.
package limited

import (
	"fmt"
	"io"
	"os"
)

// ReadFile reads a file of at most limit bytes. A larger one is an error, and
// what was read of it is returned too.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		b, err = b[:limit], fmt.Errorf("cannot read %s: it is larger than %d bytes", path, limit)
	}
	return b, err
}
