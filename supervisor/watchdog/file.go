package watchdog

import (
	"fmt"
	"time"
)

// FileStamp is what shows that a file has changed: another file in its place,
// another size, another time of modification.
type FileStamp struct {
	Device, Inode uint64
	Size          int64
	Modified      time.Time // zero: there is no file
}

// Missing says that there is no such file.
func (s FileStamp) Missing() bool { return s.Modified.IsZero() }

func (s FileStamp) same(o FileStamp) bool {
	return s.Device == o.Device && s.Inode == o.Inode && s.Size == o.Size && s.Modified.Equal(o.Modified)
}

// FileLook is one look at a file.
type FileLook struct {
	Path   string
	Stamp  FileStamp
	At     time.Duration // when the look began, CLOCK_BOOTTIME
	Wall   time.Time     // the same moment on the wall clock, which files are stamped with
	Failed error         // it could not be looked at, which says nothing about it
}

// fileRetry is the time between looks at a file that cannot be looked at.
const fileRetry = time.Second

// File judges the freshness of a file that a service must change again and again.
// A verdict needs a look that began after its deadline (Ask, FileWatcher.Look):
// what inotify(7) tells comes earlier and makes ages exact, but it misses file
// systems that change elsewhere, like NFS. That a file disappears is no change;
// that it comes again is one. Owned by one goroutine; times are CLOCK_BOOTTIME.
type File struct {
	path   string
	sign   *Sign
	stamp  FileStamp
	looked time.Duration // the last look that counts; 0: none yet
	asked  bool          // a look was asked for
	retry  time.Duration // not before this, after a look that failed
	failed error
}

// NewFile begins at now to expect changes of the file every limit, with a
// suspicion after the shorter time suspect; see NewSign.
func NewFile(path string, limit, suspect, now time.Duration) *File {
	return &File{path: path, sign: NewSign("file "+path, limit, suspect, now)}
}

// Path of the file.
func (f *File) Path() string { return f.path }

// Next returns when to call Ask; ok is false when there is nothing to judge, or a
// look is under way.
func (f *File) Next() (at time.Duration, ok bool) {
	if f.asked {
		return 0, false
	}
	at, _, ok = f.sign.Next()
	return max(at, f.retry), ok
}

// Ask says that the file is to be looked at now (FileWatcher.Look), for whose
// result Observe is called. It says so once: while a file system does not answer
// nothing is judged, for that is no fault of the service.
func (f *File) Ask(now time.Duration) bool {
	at, ok := f.Next()
	f.asked = f.asked || ok && now >= at
	return ok && now >= at
}

// Observe takes a look and judges by it. Suspicion comes first, also when both
// deadlines have passed: Next is then in the past, and the next look confirms.
func (f *File) Observe(l FileLook) []Verdict {
	f.asked = false
	if f.failed = l.Failed; l.Failed != nil {
		f.retry = l.At + fileRetry
		return nil
	}
	if l.At < f.looked {
		return nil // overtaken
	}
	var all []Verdict
	before, first := f.stamp, f.looked == 0
	since := f.looked
	f.stamp, f.looked = l.Stamp, l.At
	if !first && !l.Stamp.Missing() && !l.Stamp.same(before) {
		if v, changed := f.sign.Beat(max(f.sign.Last(), f.changed(l, since))); changed {
			v.At, v.Text = l.At, f.noun()+" was changed again"
			all = append(all, v)
		}
	}
	if v, changed := f.sign.Check(l.At); changed {
		v.Text = f.text(l.At)
		all = append(all, v)
	}
	return all
}

// changed is when the file was changed: as it is stamped, but after the look
// before, which did not see it. The clock of a file server may be wrong, and
// anybody can set a stamp.
func (f *File) changed(l FileLook, since time.Duration) time.Duration {
	age := l.Wall.Sub(l.Stamp.Modified)
	return min(max(l.At-age, since), l.At)
}

func (f *File) noun() string { return fmt.Sprintf("file %q", f.path) }

func (f *File) text(now time.Duration) string {
	what := "was not changed"
	if f.stamp.Missing() {
		what = "is missing, and was not there"
	}
	return fmt.Sprintf("%s %s for %s (limit %s)", f.noun(), what, round(now-f.sign.Last()), f.sign.Limit())
}

// State as judged last.
func (f *File) State() State { return f.sign.State() }

// Suspend stops judging.
func (f *File) Suspend() { f.sign.Suspend() }

// Resume judges again, with the whole limit from now on.
func (f *File) Resume(now time.Duration) []Verdict {
	if v, changed := f.sign.Resume(now); changed {
		return []Verdict{v}
	}
	return nil
}

// Extend grants time, as EXTEND_TIMEOUT_USEC asks for.
func (f *File) Extend(now, d time.Duration) []Verdict {
	if v, changed := f.sign.Extend(now, d); changed {
		return []Verdict{v}
	}
	return nil
}

// Standing is what there is to say of the file at now.
func (f *File) Standing(now time.Duration) Standing {
	s := f.sign.Standing(now)
	s.Name, s.Kind = f.path, KindFile
	switch {
	case f.failed != nil:
		s.Text = f.failed.Error()
	case f.looked != 0 && f.stamp.Missing():
		s.Text = "missing"
	case f.asked:
		s.Text = "being looked at"
	}
	return s
}
