package snapshot

import (
	"fmt"
	"time"
)

// Removed is a file that an incident had, and that the store took out of it
// later because its bounds demanded the room. The rest of the incident stays.
type Removed struct {
	Name  string    `json:"name"`
	Bytes int64     `json:"bytes"` // that it took on disk
	Time  time.Time `json:"time"`  // UTC
	Why   string    `json:"why"`   // which bound demanded it
}

// Sentence says what became of the file.
func (r Removed) Sentence() string {
	return fmt.Sprintf("%s (%d bytes) was removed by quota at %s: %s.", r.Name, r.Bytes, r.Time.UTC().Format(time.RFC3339), r.Why)
}

// RemovedFile returns what is known of a file that was removed.
func (i *Incident) RemovedFile(name string) (Removed, bool) {
	for _, r := range i.Removed {
		if r.Name == name {
			return r, true
		}
	}
	return Removed{}, false
}
