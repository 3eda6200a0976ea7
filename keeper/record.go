package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
)

// records is what the keeper leaves on disk for the next one of its name, for
// the case that it is killed: one small file for each child and each note. It
// lies in the runtime directory, which does not outlive the machine; nothing is
// synced. A kill at any moment leaves each file whole, the old or the new one.
type records struct {
	dir    string
	boot   string // id of this boot: pids of another mean nothing
	failed error  // the newest failure, told once
}

// dirRecords is the directory of the records in the runtime directory.
const dirRecords = "keep"

// Kinds of files in the directory; the name of what it tells of follows.
const (
	recordChild = "child."
	recordNote  = "note."
	recordSuper = "supervisor"
	recordNew   = ".new" // one that is being written
)

// record is one child on disk. Its command and environment are not in it: they
// may hold secrets, and only the supervisor starts anything anew.
type record struct {
	Boot        string           `json:"boot"`
	Key         string           `json:"key"`
	Instance    uint64           `json:"instance"`
	Helper      bool             `json:"helper,omitempty"`
	Starting    bool             `json:"starting,omitempty"` // the start may have happened or not
	Started     protocol.Started `json:"started"`
	Cgroup      string           `json:"cgroup,omitempty"`
	Exit        *protocol.Exit   `json:"exit,omitempty"`
	Outputs     [2]uint64        `json:"outputs"` // inodes of the pipes of stdout and stderr, 0: none
	StopSignal  int              `json:"stop_signal,omitempty"`
	StopTimeout time.Duration    `json:"stop_timeout,omitempty"`
}

// superRecord is the supervisor on disk.
type superRecord struct {
	Boot  string `json:"boot"`
	PID   int    `json:"pid"`
	Ticks uint64 `json:"ticks"`
	Epoch uint64 `json:"epoch"`
}

// bootFile tells boots apart, random(4).
const bootFile = "/proc/sys/kernel/random/boot_id"

// openRecords makes the directory. A failure, as on a full file system, is no
// reason not to keep services.
func openRecords(runtime string) *records {
	r := &records{dir: filepath.Join(runtime, dirRecords)}
	id, err := os.ReadFile(bootFile)
	r.boot = strings.TrimSpace(string(id))
	if merr := os.Mkdir(r.dir, 0o700); !errors.Is(merr, fs.ErrExist) {
		err = errors.Join(err, merr)
	}
	r.note(err)
	return r
}

// write replaces one file. A failure costs the next keeper its knowledge of one
// thing; it is no reason to stop.
func (r *records) write(name string, text []byte) {
	temporary := filepath.Join(r.dir, recordNew)
	err := os.WriteFile(temporary, text, 0o600)
	if err == nil {
		err = os.Rename(temporary, filepath.Join(r.dir, name))
	}
	r.note(err)
}

func (r *records) remove(name string) {
	if err := os.Remove(filepath.Join(r.dir, name)); !errors.Is(err, fs.ErrNotExist) {
		r.note(err)
	}
}

// note tells of the first failure of a row of them.
func (r *records) note(err error) {
	if err != nil && r.failed == nil {
		fmt.Fprintf(os.Stderr, "vigil: cannot keep a record, should this vigil be killed its successor may not find every service: %v\n", err)
	}
	r.failed = err
}

// clear removes everything, at an orderly end.
func (r *records) clear() { r.note(os.RemoveAll(r.dir)) }

func (r *records) writeJSON(name string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		r.note(err)
		return
	}
	r.write(name, text)
}

func childFile(id string) string { return recordChild + url.PathEscape(id) }
func noteFile(key string) string { return recordNote + url.PathEscape(key) }

// child writes what there is to know of c.
func (r *records) child(c *child) {
	rec := record{
		Boot: r.boot, Key: c.spec.Key, Instance: c.spec.Instance, Helper: c.spec.Helper, Starting: c.starting,
		Started: c.started, Exit: c.exit, StopSignal: c.spec.StopSignal, StopTimeout: c.spec.StopTimeout,
		Outputs: c.pipes,
	}
	if c.tree != nil {
		rec.Cgroup = c.tree.Path()
	}
	r.writeJSON(childFile(c.id), rec)
}

func (r *records) dropChild(c *child) { r.remove(childFile(c.id)) }

func (r *records) noteText(key string, text []byte) {
	if len(text) == 0 {
		r.remove(noteFile(key))
		return
	}
	r.write(noteFile(key), text)
}

func (r *records) supervisor(s supervisor, ticks uint64) {
	r.writeJSON(recordSuper, superRecord{Boot: r.boot, PID: s.pid, Ticks: ticks, Epoch: s.epoch})
}

// inode tells pipes apart. 0 for none.
func inode(fd int) uint64 {
	var st unix.Stat_t
	if fd < 0 || unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Ino
}

// left is what a keeper that was killed has left.
type left struct {
	children []record
	notes    map[string][]byte
	super    superRecord
	bad      []string // files that cannot be used, and why
}

// maxRecord bounds one file that is read: a note fits.
const maxRecord = maxNote

// read reads what is there. Files of another boot are removed: nothing that
// they tell of can run.
func (r *records) read() left {
	l := left{notes: map[string][]byte{}}
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return l // could not be made, and that was told
	}
	if err != nil {
		l.bad = append(l.bad, err.Error())
		return l
	}
	if len(entries) > maxChildren+maxNotes+2 {
		l.bad = append(l.bad, fmt.Sprintf("%d files are more than a keeper makes; the rest is not read", len(entries)))
		entries = entries[:maxChildren+maxNotes+2]
	}
	for _, e := range entries {
		if e.Name() == recordNew {
			continue // it never counted; the next write replaces it
		}
		if err := r.readOne(&l, e.Name()); err != nil {
			l.bad = append(l.bad, fmt.Sprintf("%s: %v", e.Name(), err))
			r.remove(e.Name())
		}
	}
	if l.super.Boot != r.boot && len(l.children) == 0 {
		// Notes do not say of which boot they are; the other records do.
		for key := range l.notes {
			r.remove(noteFile(key))
		}
		l.notes, l.super = map[string][]byte{}, superRecord{}
	}
	return l
}

func (r *records) readOne(l *left, name string) error {
	text, err := readLimited(filepath.Join(r.dir, name))
	if err != nil {
		return err
	}
	if name == recordSuper {
		return json.Unmarshal(text, &l.super)
	}
	if escaped, ok := strings.CutPrefix(name, recordNote); ok {
		key, err := url.PathUnescape(escaped)
		if err == nil {
			l.notes[key] = text
		}
		return err
	}
	if !strings.HasPrefix(name, recordChild) {
		return errors.New("no keeper makes such a file")
	}
	rec, err := decodeRecord(text)
	if err != nil {
		return err
	}
	if rec.Boot != r.boot {
		r.remove(name)
		return nil
	}
	if childFile(protocol.ID(rec.Key, rec.Instance)) != name {
		return errors.New("it tells of another child than its name")
	}
	l.children = append(l.children, rec)
	return nil
}

// decodeRecord reads a record and checks what is used of it as a number.
func decodeRecord(text []byte) (record, error) {
	var rec record
	if err := json.Unmarshal(text, &rec); err != nil {
		return rec, err
	}
	switch {
	case rec.Key == "":
		return rec, errors.New("it has no key")
	case rec.Started.PID < 0 || rec.Started.PID > maxPID || rec.Started.PID == 1:
		return rec, fmt.Errorf("it names pid %d", rec.Started.PID)
	case rec.StopSignal < 0 || rec.StopSignal > 64:
		return rec, fmt.Errorf("it names signal %d", rec.StopSignal)
	case rec.StopTimeout < 0:
		return rec, fmt.Errorf("it names a stop timeout of %v", rec.StopTimeout)
	}
	return rec, nil
}

// maxPID is the largest kernel.pid_max, proc(5).
const maxPID = 1 << 22

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err == nil && len(b) > maxRecord {
		err = fmt.Errorf("more than %d bytes", maxRecord)
	}
	return b, err
}
