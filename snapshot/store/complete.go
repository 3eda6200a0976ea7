package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/atomicfile"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// maxFiles bounds the files that a manifest lists. vigil writes about ten.
const maxFiles = 1024

// Complete makes all files durable and private, writes incident.json, and ends
// the writing. It returns the manifest as written: Schema, ID, Status, Files and
// Bytes are the store's; Service, Instance, PID, Time, Cause and Sentence come
// from Begin where they are zero. The status is partial when Missing is not
// empty or the caller says so, else complete.
//
// When it fails, the incident is as it was, not complete, and Complete can be
// called again. It waits for the disk: fsync of a large core takes seconds.
func (w *Writing) Complete(incident snapshot.Incident) (snapshot.Incident, error) {
	done, err := w.complete(incident)
	if err != nil {
		return snapshot.Incident{}, fmt.Errorf("cannot complete incident %s: %w", w.id, err)
	}
	w.Close()
	return done, nil
}

func (w *Writing) complete(incident snapshot.Incident) (snapshot.Incident, error) {
	if w.closed {
		return snapshot.Incident{}, ErrClosed
	}
	incident = w.fill(incident)
	// The manifest needs the reserve's room, so it is given back first.
	if err := removeAll(w.dir, isOwnRemains); err != nil {
		return snapshot.Incident{}, err
	}
	files, bytes, dropped, err := settle(w.dir)
	if err != nil {
		return snapshot.Incident{}, err
	}
	if dropped > 0 {
		incident.Missing = append(incident.Missing,
			fmt.Sprintf("%d files of the directory are not listed: the limit is %d.", dropped, maxFiles))
	}
	if incident.Status != snapshot.StatusPartial && len(incident.Missing) == 0 {
		incident.Status = snapshot.StatusComplete
	} else {
		incident.Status = snapshot.StatusPartial
	}
	data, incident, err := manifest(incident, files, bytes)
	if err != nil {
		return snapshot.Incident{}, err
	}
	if err := atomicfile.Write(filepath.Join(w.dir, snapshot.FileIncident), data, filePerm); err != nil {
		return snapshot.Incident{}, err
	}
	// From here on it is complete, so an error would be a lie: a marker that
	// stays means nothing, and Recover removes it.
	_ = removeAll(w.dir, isMarker)
	return incident, nil
}

// fill puts in what the store knows.
func (w *Writing) fill(incident snapshot.Incident) snapshot.Incident {
	known := w.marker.incident(w.id, incident.Status)
	incident.Schema, incident.ID = known.Schema, known.ID
	if incident.Service == "" {
		incident.Service = known.Service
	}
	if incident.Instance == 0 {
		incident.Instance = known.Instance
	}
	if incident.PID == 0 {
		incident.PID = known.PID
	}
	if incident.Time.IsZero() {
		incident.Time = known.Time
	}
	if incident.Cause == snapshot.CauseNone {
		incident.Cause = known.Cause
	}
	if incident.Sentence == "" {
		incident.Sentence = known.Sentence
	}
	incident.Time = incident.Time.UTC()
	incident.Missing = slices.Clone(incident.Missing) // the caller's stays as it is
	return incident
}

// manifest encodes the incident. It counts itself: its size on disk is not
// known before it is written, so it is its length in whole blocks of 4 KiB.
func manifest(incident snapshot.Incident, files []snapshot.FileInfo, bytes int64) ([]byte, snapshot.Incident, error) {
	const block = 4096
	incident.Files = append(files, snapshot.FileInfo{Name: snapshot.FileIncident})
	var data []byte
	var own int64
	// The figures in it are part of its length, so the second round settles it.
	for range 2 {
		incident.Files[len(files)].Bytes, incident.Bytes = own, bytes+own
		var err error
		if data, err = encode(incident, "  "); err != nil {
			return nil, incident, err
		}
		own = (int64(len(data)) + block - 1) / block * block
	}
	if len(data) > limitIncident {
		return nil, incident, fmt.Errorf("%s would have %d bytes, the limit is %d", snapshot.FileIncident, len(data), limitIncident)
	}
	return data, incident, nil
}

// settle makes the files of a directory private and durable and measures them.
// bytes includes the directory itself.
func settle(dir string) (files []snapshot.FileInfo, bytes int64, dropped int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, 0, err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || isMarker(e.Name()) || e.Name() == filePinned {
			continue
		}
		allocated, err := settleFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, 0, 0, err
		}
		bytes += allocated
		if len(files) == maxFiles {
			dropped++
			continue
		}
		files = append(files, snapshot.FileInfo{Name: e.Name(), Bytes: allocated})
	}
	own, err := allocated(dir)
	return files, bytes + own, dropped, err
}

func settleFile(path string) (int64, error) {
	f, info, err := openFile(path)
	if err != nil {
		return 0, err
	}
	if info.Mode() != filePerm {
		err = f.Chmod(filePerm)
	}
	if err == nil {
		err = f.Sync()
	}
	var st unix.Stat_t
	if err == nil {
		// After fsync: blocks of delayed allocation are counted only then.
		err = unix.Fstat(int(f.Fd()), &st)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("cannot make %s durable: %w", path, err)
	}
	return st.Blocks * 512, nil
}

func isMarker(name string) bool { return name == fileWriting || name == filePending }

// isOwnRemains reports whether a file of an incident is the reserve or was left
// by a write that was killed.
func isOwnRemains(name string) bool { return name == fileReserve || atomicfile.IsTemporary(name) }

// removeAll removes the files of a directory that match, and makes that durable.
func removeAll(dir string, match func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	removed := false
	for _, e := range entries {
		if !match(e.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
		removed = true
	}
	if !removed {
		return nil
	}
	return atomicfile.SyncDir(dir)
}

// Abandon completes an incident that nobody can finish: it is partial, holds
// what the helper had written, and says why as a sentence in Missing.
func (w *Writing) Abandon(why string) (snapshot.Incident, error) {
	incident := snapshot.Incident{Missing: []string{why}}
	if strings.TrimSpace(why) == "" {
		incident.Missing[0] = "The writing of this incident was not finished; why is not known."
	}
	var capture snapshot.Capture
	path := filepath.Join(w.dir, snapshot.FileCapture)
	err := readJSON(path, limitCapture, &capture)
	switch {
	case err == nil && checkSchema(path, capture.Schema) == nil:
		incident.Freeze, incident.Program, incident.Ran = &capture.Freeze, &capture.Program, capture.Ran
		incident.Missing = append(incident.Missing, capture.Missing...)
	case errors.Is(err, fs.ErrNotExist):
		incident.Missing = append(incident.Missing, "The capture left no report.")
	default:
		incident.Missing = append(incident.Missing, "The report of the capture cannot be read.")
	}
	if w.marker.Sentence == "" {
		incident.Sentence = "The incident was begun and not finished; its cause was not recorded."
		if w.marker.Cause != snapshot.CauseNone {
			incident.Sentence = fmt.Sprintf("The service ended (%s); the incident was not finished.", w.marker.Cause)
		}
	}
	return w.Complete(incident)
}
