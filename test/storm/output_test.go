package storm

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// complete looks for gaps in the numbered lines of a service that ran once, in
// a log that nobody else touched, and returns how many lines are missing.
func (v *vigil) complete(service string) (lost int) {
	v.t.Helper()
	files, _ := filepath.Glob(v.path("log", service+".log*"))
	slices.Sort(files)
	slices.Reverse(files) // .log is the newest
	next := 1
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			v.t.Fatal(err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var name string
			var pid, n int
			if _, err := fmt.Sscan(lines.Text(), &name, &pid, &n); err != nil || name != service {
				if !strings.Contains(lines.Text(), "vigil") {
					v.t.Errorf("a line of %s that it did not write: %q", service, lines.Text())
				}
				continue
			}
			if n < next {
				v.t.Errorf("line %d of %s comes again, after %d", n, service, next-1)
			}
			lost += max(n-next, 0)
			next = n + 1
		}
		f.Close()
	}
	v.t.Logf("%s wrote %d lines, %d are missing", service, next-1, lost)
	return lost
}
