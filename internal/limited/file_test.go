package limited

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if _, err := ReadFile(path, 3); !os.IsNotExist(err) {
		t.Errorf("of a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadFile(path, 3); err != nil || string(b) != "abc" {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := ReadFile(path, 2); err == nil || string(b) != "ab" || !strings.Contains(err.Error(), "larger than 2 bytes") {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := ReadFile("/dev/zero", 1<<20); err == nil {
		t.Error("a file without end was read")
	}
}
