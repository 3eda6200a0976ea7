package supervisor

import (
	"context"
	"errors"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/logs"
)

// outputWait is how long output waits for a disk that is slow but works, once
// per gap, before it is dropped and counted. Meanwhile the pipe still takes 256 KiB.
const outputWait = time.Second

// memoryFile is the keeper's name of the memory of output.
const memoryFile = "output"

// openMemory takes over the memory in which a former supervisor held output, or
// makes some. Without it a kill of the supervisor costs what it had read and not
// yet written, and the status says so.
func (s *Supervisor) openMemory(rec recovered) {
	buffers, err := attachMemory(rec.files[memoryFile])
	if err == nil {
		s.buffers = buffers
		return
	}
	var f *os.File
	if f, err = logs.NewMemory(); err == nil {
		buffers, err = logs.Attach(f)
	}
	if err == nil {
		err = s.keeper.send(protocol.TPutFile, protocol.Name{Name: memoryFile}, []*os.File{f}, nil)
	}
	if f != nil {
		_ = f.Close()
	}
	if err != nil {
		s.limits = append(s.limits, "output that was read and not yet written would be lost if the supervisor were killed: "+err.Error())
		return
	}
	s.buffers = buffers
}

func attachMemory(f *os.File) (*logs.Buffers, error) {
	if f == nil {
		return nil, os.ErrNotExist
	}
	b, err := logs.Attach(f)
	return b, errors.Join(err, f.Close())
}

// settleMemory drops what was read of services that are not in the
// configuration any more.
func (s *Supervisor) settleMemory() {
	if n := s.buffers.Forget(); n > 0 {
		s.log.Warn("output of services that are not configured any more was dropped", zap.Int64("bytes", n))
	}
}

// outputOptions are those of one service.
func (s *Supervisor) outputOptions(cfg config.Service, dir, prefix string) logs.Options {
	o := logs.Options{
		Service: cfg.Name, Directory: dir, MaxSize: cfg.Log.MaxSize, Keep: cfg.Log.Keep, Tail: int(cfg.OutputTail),
		MinFree: logs.Free{Bytes: cfg.Log.MinFree.Bytes, Percent: cfg.Log.MinFree.Percent},
		Stdout:  s.stdout, Stderr: s.stderr, Prefix: prefix, Buffers: s.buffers, Patience: outputWait,
	}
	if cfg.Log.Compress == "zstd" {
		o.Compress = &s.compressor
	}
	return o
}

// closeOutput ends what all services share. The memory is given to a successor,
// who may begin before this process has ended, unless somebody still writes.
func (s *Supervisor) closeOutput(ctx context.Context, idle bool) {
	if idle {
		s.buffers.Release()
	}
	_ = s.compressor.Close(ctx)
	for _, e := range []*logs.Echo{s.stdout, s.stderr} {
		if e != nil {
			_ = e.Close(ctx)
		}
	}
}
