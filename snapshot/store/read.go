package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// The largest file of each kind that is written, and that is read back.
const (
	limitMarker   = 64 << 10
	limitIncident = 4 << 20
	limitCapture  = 4 << 20
	limitStacks   = 64 << 20
	limitProcess  = 16 << 20
	limitTimeline = 16 << 20
	limitOutput   = 8 << 20
	limitOther    = 64 << 20
)

// limitOf returns the size limit of a file of an incident, in bytes.
func limitOf(name string) int64 {
	switch name {
	case snapshot.FileIncident:
		return limitIncident
	case snapshot.FileCapture:
		return limitCapture
	case snapshot.FileStacks:
		return limitStacks
	case snapshot.FileProcess:
		return limitProcess
	case snapshot.FileTimeline:
		return limitTimeline
	case snapshot.FileOutput:
		return limitOutput
	}
	return limitOther
}

// openFile opens a regular file for reading. It follows no link and does not
// wait for a FIFO, so a foreign entry can neither lead away nor block.
func openFile(path string) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// readFile reads a whole file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, info, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, the limit is %d", path, info.Size(), limit)
	}
	b := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead)) // no growing
	// The limit is kept even when the file grows meanwhile.
	_, err = b.ReadFrom(io.LimitReader(f, limit))
	return b.Bytes(), err
}

// readTail reads the last limit bytes of a file, and returns how many bytes
// before them were left out.
func readTail(path string, limit int64) (data []byte, skipped int64, err error) {
	f, info, err := openFile(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	skipped = max(0, info.Size()-limit)
	data, err = io.ReadAll(io.NewSectionReader(f, skipped, limit))
	return data, skipped, err
}

// readJSON decodes a JSON file of at most limit bytes into v.
func readJSON(path string, limit int64, v any) error {
	data, err := readFile(path, limit)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// checkSchema refuses what this version of vigil cannot understand.
func checkSchema(path string, schema int) error {
	if schema < 1 {
		return fmt.Errorf("%s has no schema number", path)
	}
	if schema > snapshot.SchemaVersion {
		return fmt.Errorf("%s was written by a newer vigil: schema %d, known is %d", path, schema, snapshot.SchemaVersion)
	}
	return nil
}

// readManifest reads incident.json of the incident id.
func readManifest(path, id string) (snapshot.Incident, error) {
	var incident snapshot.Incident
	if err := readJSON(path, limitIncident, &incident); err != nil {
		return snapshot.Incident{}, err
	}
	if err := checkSchema(path, incident.Schema); err != nil {
		return snapshot.Incident{}, err
	}
	if incident.ID != id {
		return snapshot.Incident{}, fmt.Errorf("%s belongs to incident %q", path, incident.ID)
	}
	if incident.Status != snapshot.StatusComplete && incident.Status != snapshot.StatusPartial {
		return snapshot.Incident{}, fmt.Errorf("%s has status %q", path, incident.Status)
	}
	return incident, nil
}
