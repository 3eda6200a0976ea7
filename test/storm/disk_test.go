package storm

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBadDisk starts vigil with a state directory that takes no byte, and with
// one whose files cannot be written: services run, a reload works, and it ends.
func TestBadDisk(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(v *vigil) error{
		"full": func(v *vigil) error { return fillUp(v.path("state", "filler")) },
		"directories in the place of files": func(v *vigil) error {
			for _, name := range []string{"signals.jsonl", "incidents"} {
				if err := os.MkdirAll(v.path("state", name, "x"), 0o700); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := initial()
			v := makePlace(t, vigilBinary, c)
			if err := spoil(v); err != nil {
				t.Fatal(err)
			}
			v.launch()
			v.eventually("the first start", v.runs(c))
			c = c.with("more", "1")
			v.configure(c)
			v.signal(unix.SIGHUP)
			v.eventually("a reload", v.runs(c))
			_ = os.Remove(v.path("state", "filler"))
			v.end()
		})
	}
}

// fillUp takes all room on the file system of a file, to the last byte.
func fillUp(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for size := len(block); size > 0; {
		if _, err := f.Write(block[:size]); err != nil {
			size /= 2
		}
	}
	return nil
}
