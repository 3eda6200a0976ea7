package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// Subject says what an incident is about, as far as it is known when it begins.
type Subject struct {
	Service  string         `json:"service"`
	Instance uint64         `json:"instance"`
	PID      int            `json:"pid"` // of the service
	Cause    snapshot.Cause `json:"cause"`
	Sentence string         `json:"sentence,omitempty"` // why the incident was begun
}

// Marker is the content of the file "writing" or "pending".
type Marker struct {
	Schema int `json:"schema"`
	Subject
	Time   time.Time `json:"time"`    // of Begin, UTC
	BootID string    `json:"boot_id"` // /proc/sys/kernel/random/boot_id at that time
	Writer int       `json:"writer"`  // pid of the process that wrote it
}

// Names of the files that are the store's own.
const (
	fileWriting = "writing"
	filePending = "pending"
	filePinned  = "pinned"
	fileReserve = ".reserve"
)

// readMarker returns the marker of an incident that is not complete. Status is
// empty when there is none.
func readMarker(dir string) (Marker, snapshot.Status, error) {
	markers := []struct {
		name   string
		status snapshot.Status
	}{{fileWriting, snapshot.StatusWriting}, {filePending, snapshot.StatusPending}}
	for _, m := range markers {
		var marker Marker
		err := readJSON(filepath.Join(dir, m.name), limitMarker, &marker)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return marker, m.status, err
	}
	return Marker{}, "", nil
}

// bootID identifies this boot of the machine; empty when /proc is not there.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// incident is what can be said about an unfinished incident.
func (m Marker) incident(id string, status snapshot.Status) snapshot.Incident {
	at, service, _ := parseID(id)
	if m.Schema == 0 { // no marker, or an unreadable one: the id is all there is
		m.Service, m.Time = service, at
	}
	return snapshot.Incident{
		Schema: snapshot.SchemaVersion, ID: id, Service: m.Service, Instance: m.Instance, PID: m.PID,
		Time: m.Time, Cause: m.Cause, Sentence: m.Sentence, Status: status,
	}
}
