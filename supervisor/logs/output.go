package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/clock"
)

// DefaultBuffer is how many bytes of a service wait for its disk.
const DefaultBuffer = 1 << 20

// errClosed ends a reader.
var errClosed = errors.New("logs: output is closed")

// ErrNoFile says that the service has no log file.
var ErrNoFile = errors.New("logs: no log file configured")

// Options of an Output.
type Options struct {
	Service   string      // name; the file is <Directory>/<Service>.log
	Directory string      // must exist; empty: no file
	Mode      fs.FileMode // of the file; 0: 0640
	MaxSize   int64       // bytes at which the file is rotated; 0: never
	Keep      int         // rotated files that are kept
	Buffer    int         // bytes that wait for the disk; 0: DefaultBuffer
	// Patience is how long a reader waits for a disk that works but is slower
	// than the service, before output is dropped; at most once per gap. 0: not
	// at all. With a full pipe the service then waits as long as we do.
	Patience time.Duration
	Compress *Compressor // of rotated files; nil: they stay as they are
	MinFree  Free        // space that the log leaves on its file system
	Tail     int         // bytes of the tail of an instance; 0: DefaultTail
	Stdout   *Echo       // where standard output is shown; nil: nowhere
	Stderr   *Echo       // where standard error is shown; nil: nowhere
	Prefix   string      // before every echoed line; empty: bytes pass as they are
	Buffers  *Buffers    // shared by services; nil: some for this one. With those of
	// Attach, New goes on with what a predecessor has read and not written.
	Watch func() Watcher // of the output of an instance, asked for by Begin; nil: nobody

	_ struct{}
}

// Stats of an Output since it was made.
type Stats struct {
	Bytes     int64 // read from the service
	Lines     int64 // newlines among them
	Dropped   Loss  // not written to the file
	Waiting   int   // bytes that wait to be written to the file
	Errors    int64 // failed writes
	LastError error // of the last failed write
	Failing   bool  // the last write failed
	// CompressError is why the last compression of a rotated file failed; nil
	// if it did not. The file is then kept as it is.
	CompressError error
}

// Output is what one service writes, over all its instances.
type Output struct {
	options Options
	file    *file
	queue   *queue // nil without a file

	mu        sync.Mutex
	echo      [streams]*channel
	current   *Instance
	followers []*Follower
	closed    bool
	bytes     int64
	lines     int64
}

// New makes an Output. It waits for no disk: the log is opened by the first
// byte, and a disk that does not work is a matter of Stats. The Compressor puts
// in order what the death of a predecessor has left.
func New(o Options) (*Output, error) {
	if o.Service == "" || strings.ContainsAny(o.Service, "/\x00") || o.Service[0] == '.' {
		return nil, fmt.Errorf("cannot name a log file after service %q", o.Service)
	}
	if o.Mode == 0 {
		o.Mode = 0o640
	}
	if o.Buffer <= 0 {
		o.Buffer = DefaultBuffer
	}
	if o.Tail <= 0 {
		o.Tail = DefaultTail
	}
	if o.Buffers == nil {
		o.Buffers = new(Buffers)
	}
	out := &Output{options: o}
	if o.Directory != "" {
		out.file = &file{
			path: filepath.Join(o.Directory, o.Service+".log"), mode: o.Mode, maxSize: o.MaxSize, keep: o.Keep,
			minFree: o.MinFree, compressor: o.Compress,
		}
		out.queue = newQueue(out.file, o.Buffer, o.Buffers)
		out.queue.key = keyOf(out.file.path)
		out.takeOver()
	}
	for s, e := range []*Echo{o.Stdout, o.Stderr} {
		if e != nil {
			out.echo[s] = e.channel(o.Prefix)
		}
	}
	return out, nil
}

// takeOver goes on with what a predecessor has read and not written.
func (o *Output) takeOver() {
	left := o.options.Buffers.inherit(o.queue.key)
	for _, c := range left {
		c.settleWrite(o.file.sizeOf)
	}
	o.queue.inherit(left)
	if o.file.compressor != nil {
		o.file.compressor.add(o.file, false)
	}
}

// Path of the log file; empty if there is none.
func (o *Output) Path() string {
	if o.file == nil {
		return ""
	}
	return o.file.path
}

// Begin starts the tail of a new instance. The last one stays readable by
// whoever holds it.
func (o *Output) Begin() *Instance {
	i := &Instance{output: o, tail: tail{max: o.options.Tail}}
	if o.options.Watch != nil {
		i.watch = o.options.Watch()
	}
	o.mu.Lock()
	o.current = i
	o.mu.Unlock()
	return i
}

// Follow returns a follower that gets the newest last lines of the present
// instance and then, without gap or repetition, all that come.
func (o *Output) Follow(last int) *Follower {
	f := &Follower{output: o, wake: make(chan struct{}, 1)}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.current != nil {
		lines, split := o.current.tail.lines()
		for _, l := range newest(lines, max(last, 0)) {
			f.push(l)
		}
		if len(o.followers) == 0 {
			o.current.split = split // nobody has kept it up to date
		}
	}
	if o.closed {
		f.ended = true
		return f
	}
	o.followers = append(o.followers, f)
	return f
}

func (o *Output) forget(f *Follower) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.followers = slices.DeleteFunc(o.followers, func(other *Follower) bool { return other == f })
}

// Reopen opens the log file by its path again, for logrotate. It may wait for
// the disk, so it is not for the goroutine that owns the services.
func (o *Output) Reopen() error {
	if o.file == nil {
		return ErrNoFile
	}
	return o.file.reopen()
}

// Stale lists the descriptors of the log that point at a file which is no longer
// the one at its path: it was moved or removed, and whoever did that expects
// Reopen. Empty after a Reopen that returned nil.
func (o *Output) Stale() []string {
	if o.file == nil {
		return nil
	}
	return o.file.stale()
}

// Flush waits until all that was read so far is in the file, or ctx ends. The
// file is not synced to the disk.
func (o *Output) Flush(ctx context.Context) error {
	if o.queue == nil {
		return nil
	}
	return o.queue.flush(ctx)
}

// Close ends the followers, writes what waits and closes the file. Readers that
// are still open end by their next read, and leave what is in their pipe. When
// ctx ends first, a goroutine goes on to write.
func (o *Output) Close(ctx context.Context) error {
	o.mu.Lock()
	followers := o.followers
	o.followers, o.closed = nil, true
	o.mu.Unlock()
	for _, f := range followers {
		f.end()
	}
	if o.queue == nil {
		return nil
	}
	return o.queue.close(ctx)
}

// Stats returns the counters.
func (o *Output) Stats() Stats {
	o.mu.Lock()
	s := Stats{Bytes: o.bytes, Lines: o.lines}
	o.mu.Unlock()
	if q := o.queue; q != nil {
		q.mu.Lock()
		s.Dropped, s.Waiting, s.Errors, s.LastError, s.Failing = q.lost, q.queued, q.errors, q.lastErr, q.failing != 0
		q.mu.Unlock()
		s.CompressError = o.file.compressError()
	}
	return s
}

// pull reads n bytes, which are there, from a pipe.
func (o *Output) pull(i *Instance, s Stream, fd, n int) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue == nil {
		return o.pullAside(i, s, fd, n)
	}
	c, n := o.queue.reserve(int(s), n)
	if c == nil {
		return 0, errClosed // what is in the pipe is for a successor
	}
	at := c.end()
	got, err := unix.Read(fd, c.reading(n))
	got = max(got, 0)
	c.hasRead(got)
	o.note(i, s, c.data[at:at+got])
	o.queue.commit(c, got)
	return got, err
}

// pullAside reads what goes to no file.
func (o *Output) pullAside(i *Instance, s Stream, fd, n int) (int, error) {
	c := o.options.Buffers.aside()
	defer o.options.Buffers.put(c)
	got, err := unix.Read(fd, c.data[:max(1, min(n, chunkSize))])
	if got > 0 {
		o.note(i, s, c.data[:got])
	}
	return max(got, 0), err
}

// ingest takes a copy of what somebody has read: memory only.
func (o *Output) ingest(i *Instance, s Stream, p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.note(i, s, p)
	if o.queue != nil {
		o.queue.append(int(s), p)
	}
}

// note counts bytes and shows them to whoever looks.
func (o *Output) note(i *Instance, s Stream, p []byte) {
	now := stamp{wall: time.Now().UnixNano(), boot: clock.Boot()}
	o.bytes += int64(len(p))
	o.lines += int64(bytes.Count(p, []byte{'\n'}))
	i.tail.push(p, now, s)
	if i.watch != nil {
		i.watch.Feed(s == Stderr, p, now.boot)
	}
	if len(o.followers) > 0 {
		i.split[s].feed(p, now, func(l piece) { o.follow(l.line(s, false)) })
	}
	if c := o.echo[s]; c != nil {
		c.append(p)
	}
}

func (o *Output) follow(l Line) {
	for _, f := range o.followers {
		f.push(l)
	}
}

// await gives a disk that is behind a moment before the next read.
func (o *Output) await() {
	if o.queue != nil && o.options.Patience > 0 {
		o.queue.await(chunkSize, o.options.Patience)
	}
}

// kick writes what waits: its reader finds no more.
func (o *Output) kick() {
	if o.queue != nil {
		o.queue.kick()
	}
}

// finish turns what is left of a line into a line, at the end of a stream.
func (o *Output) finish(i *Instance, s Stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i.tail.end(s)
	if i.watch != nil {
		i.watch.End(s == Stderr, clock.Boot())
	}
	if l, ok := i.split[s].finish(); ok && len(o.followers) > 0 {
		o.follow(l.line(s, true))
	}
}

// newest returns the last n lines; all of them for n < 0.
func newest(lines []Line, n int) []Line {
	if n >= 0 && len(lines) > n {
		return lines[len(lines)-n:]
	}
	return lines
}
