package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/supervisor/logs"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// pipeSize is that of the keeper's pipes.
const pipeSize = 256 << 10

// way is one path from the pipe to a file. It must have written everything
// when it returns; it returns what the logger used of processors (with both:
// the service too), and how many bytes it says it has dropped.
type way struct {
	name  string
	files []string // patterns of what it has written, oldest first
	both  bool
	run   func(dir string, service *exec.Cmd, size int64) (used time.Duration, dropped int64, err error)
}

func ways(self string) []way {
	all := []way{
		{name: "vigil", files: []string{"service.log"}, run: func(dir string, c *exec.Cmd, _ int64) (time.Duration, int64, error) {
			return throughVigil(self, dir, c, false)
		}},
		{name: "vigil, 4 patterns", files: []string{"service.log"}, run: func(dir string, c *exec.Cmd, _ int64) (time.Duration, int64, error) {
			return throughVigil(self, dir, c, true)
		}},
		{name: "cat > file", files: []string{"log"}, run: func(dir string, c *exec.Cmd, _ int64) (time.Duration, int64, error) {
			return throughCat(dir, c)
		}},
	}
	if path, err := exec.LookPath("svlogd"); err == nil {
		all = append(all, way{name: "svlogd", files: []string{"@*", "current"}, run: func(dir string, c *exec.Cmd, _ int64) (time.Duration, int64, error) {
			if err := os.WriteFile(filepath.Join(dir, "config"), []byte("s2000000000\nn0\n"), 0o600); err != nil {
				return 0, 0, err
			}
			used, err := join(c, exec.Command(path, dir))
			return used, 0, err
		}})
	}
	if path, err := exec.LookPath("s6-log"); err == nil {
		all = append(all, way{name: "s6-log", files: []string{"@*", "current"}, run: func(dir string, c *exec.Cmd, _ int64) (time.Duration, int64, error) {
			used, err := join(c, exec.Command(path, "n1000", "s268435455", dir))
			return used, 0, err
		}})
	}
	if path, err := exec.LookPath("supervisord"); err == nil {
		all = append(all, way{name: "supervisord", files: []string{"service.log"}, both: true, run: func(dir string, c *exec.Cmd, size int64) (time.Duration, int64, error) {
			used, err := throughSupervisord(path, dir, c, size)
			return used, 0, err
		}})
	}
	return all
}

func absent() (names []string) {
	for _, name := range []string{"svlogd", "s6-log", "supervisord"} {
		if _, err := exec.LookPath(name); err != nil {
			names = append(names, name)
		}
	}
	return names
}

// throughVigil runs capture in a process of its own, as the others are.
func throughVigil(self, dir string, service *exec.Cmd, patterns bool) (time.Duration, int64, error) {
	logger := exec.Command(self)
	var said strings.Builder
	logger.Env, logger.Stdout, logger.Stderr = []string{envLog + "=" + dir}, &said, os.Stderr
	if patterns {
		logger.Env = append(logger.Env, envPatterns+"=1")
	}
	used, err := join(service, logger)
	if err != nil {
		return used, 0, err
	}
	dropped, err := strconv.ParseInt(strings.TrimSpace(said.String()), 10, 64)
	return used, dropped, err
}

// capture is the part of the supervisor that handles output: with the memory
// that survives it, as there. It tells how much was dropped.
func capture(dir string) error {
	memory, err := logs.NewMemory()
	if err != nil {
		return err
	}
	defer func() { _ = memory.Close() }()
	buffers, err := logs.Attach(memory)
	if err != nil {
		return err
	}
	options := logs.Options{Service: "service", Directory: dir, Patience: time.Second, Buffers: buffers, MinFree: logs.Free{Bytes: 1 << 20}}
	if os.Getenv(envPatterns) != "" {
		if options.Watch, err = watch(); err != nil {
			return err
		}
	}
	out, err := logs.New(options)
	if err != nil {
		return err
	}
	reader, err := out.Begin().Read(logs.Stdout, os.Stdin)
	if err != nil {
		return err
	}
	<-reader.Done()
	if err := errors.Join(reader.Err(), out.Close(context.Background())); err != nil {
		return err
	}
	fmt.Println(out.Stats().Dropped.Bytes)
	return nil
}

// watch looks for what a service might be asked to be watched for, and the lines
// do not have.
func watch() (func() logs.Watcher, error) {
	var list []watchdog.OutputPattern
	for _, text := range []string{"OutOfMemoryError", "^panic: |^fatal error: ", "Segmentation fault", `java\.lang\.\w+Error`} {
		list = append(list, watchdog.OutputPattern{Pattern: text, Verdict: watchdog.Suspect, Stdout: true, Stderr: true})
	}
	patterns, err := watchdog.NewOutputPatterns(list)
	return func() logs.Watcher { return patterns.Watch(func(watchdog.OutputMatch) {}) }, err
}

func throughCat(dir string, service *exec.Cmd) (time.Duration, int64, error) {
	f, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }()
	filter := exec.Command("cat")
	filter.Stdout = f
	used, err := join(service, filter)
	return used, 0, err
}

// throughSupervisord starts the service by supervisord, which does not end with
// it: the log is looked at until it is complete, or grows no more.
func throughSupervisord(path, dir string, service *exec.Cmd, size int64) (time.Duration, error) {
	config := fmt.Sprintf("[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=%[1]s/pid\n"+
		"[program:service]\ncommand=%[2]s\nautorestart=false\nstartsecs=0\nstdout_logfile=%[1]s/service.log\nstdout_logfile_maxbytes=0\nstderr_logfile=/dev/null\nenvironment=%[3]s\n",
		dir, service.Path, strings.Join(service.Env, ","))
	file := filepath.Join(dir, "supervisord.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return 0, err
	}
	c := exec.Command(path, "-c", file)
	c.Stdout, c.Stderr = io.Discard, os.Stderr
	if err := c.Start(); err != nil {
		return 0, err
	}
	grown, last := time.Now(), int64(-1)
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		if st, err := os.Stat(filepath.Join(dir, "service.log")); err == nil && st.Size() != last {
			grown, last = time.Now(), st.Size()
		}
		if last >= size || time.Since(grown) > 10*time.Second {
			tick.Stop()
			break
		}
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	_ = c.Wait() // its status is that of the signal
	return processors(c), nil
}
