package supervisor

import (
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// maxLog bounds vigil's own log: two files of this size, the current one and
// the one before.
const maxLog = 4 << 20

// newLog makes vigil's own log: people read stderr, programs the file. Equal
// messages are sampled, so that no event repeated for ever can fill a disk.
func newLog(path string) (*zap.Logger, *capped, error) {
	f, err := openCapped(path, maxLog)
	if err != nil {
		return nil, nil, err
	}
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	human := zapcore.EncoderConfig{
		MessageKey: "m", LevelKey: "l", NameKey: "n", ConsoleSeparator: " ", EncodeLevel: prefixLevel,
		EncodeTime: zapcore.RFC3339TimeEncoder, EncodeDuration: zapcore.StringDurationEncoder,
	}
	core := zapcore.NewTee(
		zapcore.NewCore(zapcore.NewJSONEncoder(enc), f, zapcore.DebugLevel),
		plain{zapcore.NewCore(zapcore.NewConsoleEncoder(human), zapcore.Lock(os.Stderr), zapcore.InfoLevel)},
	)
	return zap.New(zapcore.NewSamplerWithOptions(core, time.Second, 20, 1000)), f, nil
}

// plain is a core for people: the sentence says all, the fields are for programs.
type plain struct{ zapcore.Core }

func (p plain) With([]zapcore.Field) zapcore.Core { return p }

func (p plain) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if p.Enabled(e.Level) {
		return c.AddCore(e, p)
	}
	return c
}

func (p plain) Write(e zapcore.Entry, fields []zapcore.Field) error {
	for _, f := range fields {
		if f.Key == "error" { // what went wrong is for people too
			return p.Core.Write(e, []zapcore.Field{f})
		}
	}
	return p.Core.Write(e, nil)
}

// prefixLevel marks lines on stderr as vigil's, and the bad ones as bad.
func prefixLevel(l zapcore.Level, enc zapcore.PrimitiveArrayEncoder) {
	if l >= zapcore.WarnLevel {
		enc.AppendString("vigil: " + l.String() + ":")
		return
	}
	enc.AppendString("vigil:")
}

// capped is a file that is begun anew at its limit; the one before is kept.
type capped struct {
	mu   sync.Mutex
	path string
	f    *os.File
	size int64
	most int64
}

func openCapped(path string, most int64) (*capped, error) {
	c := &capped{path: path, most: most}
	return c, c.open(os.O_APPEND)
}

func (c *capped) open(flag int) error {
	f, err := os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE|flag, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open own log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("cannot open own log: %w", err)
	}
	c.f, c.size = f, info.Size()
	return nil
}

// Write never fails the caller: a log that cannot be written is no reason to
// stop supervising.
func (c *capped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.size+int64(len(p)) > c.most && c.size > 0 {
		if os.Rename(c.path, c.path+".1") == nil {
			old := c.f
			if c.open(os.O_TRUNC) == nil {
				old.Close()
			}
		}
	}
	n, _ := c.f.Write(p)
	c.size += int64(n)
	return len(p), nil
}

// reopen opens the path again, which somebody may have moved. The old file stays
// in use when that does not work.
func (c *capped) reopen() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.f
	if err := c.open(os.O_APPEND); err != nil {
		return err
	}
	return old.Close()
}

func (c *capped) Sync() error { return nil }
