package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// What vigil's own log may take, as docs/design.md says.
const (
	ownLogBytes = 2 * maxLog // the file and the one before
	stormBytes  = 1 << 20    // an event repeated a million times within ten seconds
)

func ownLogSize(t *testing.T, path string) (bytes int64, lines int) {
	t.Helper()
	for _, name := range []string{path, path + ".1"} {
		b, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		bytes, lines = bytes+int64(len(b)), lines+strings.Count(string(b), "\n")
	}
	return bytes, lines
}

// An event that repeats itself a million times cannot fill a disk: equal
// messages are sampled.
func TestOwnLogOfARepeatedEvent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vigil.log")
	hush(t)
	log, _, err := newLog(path)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for i := range 1_000_000 {
		log.Warn("somebody sends a signal", zap.Int("pid", i), zap.String("command", "logrotate"))
	}
	seconds := int(time.Since(begin)/time.Second) + 2 // partly begun ones count
	bytes, lines := ownLogSize(t, path)
	if most := 20*seconds + 1_000_000/1000; lines > most || lines < 20 {
		t.Errorf("%d lines, at most %d were expected", lines, most)
	}
	if seconds <= 10 && bytes > stormBytes {
		t.Errorf("%d bytes, at most %d were expected", bytes, stormBytes)
	}
	t.Logf("%d lines, %d bytes in %s", lines, bytes, time.Since(begin))
}

// Messages that are never equal are not sampled: the files are bounded.
func TestOwnLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vigil.log")
	hush(t)
	log, _, err := newLog(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200_000 {
		log.Error(fmt.Sprintf("event %d %s", i, strings.Repeat("x", 100)))
	}
	if bytes, _ := ownLogSize(t, path); bytes > ownLogBytes {
		t.Errorf("%d bytes, at most %d were expected", bytes, ownLogBytes)
	}
	if all, _ := filepath.Glob(path + "*"); len(all) != 2 {
		t.Errorf("files %q", all)
	}
}

// hush sends our words to people to nobody.
func hush(t *testing.T) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = null
	t.Cleanup(func() { os.Stderr = before; _ = null.Close() })
}
