package supervisor

import (
	"bufio"
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/supervisor/config"
	"github.com/vigil-supervisor/vigil/supervisor/lifecycle"
)

// of says what kind of program it is, from the file that is started.
func (r *runtimes) of(cfg config.Service, path string) string {
	if cfg.Runtime != "" && cfg.Runtime != "auto" {
		return cfg.Runtime
	}
	if r.isGo(path) {
		return "go"
	}
	base := filepath.Base(path)
	switch {
	case base == "java":
		return "jvm"
	case strings.HasPrefix(base, "python"):
		return "python"
	case base == "node" || base == "nodejs":
		return "node"
	}
	return "native"
}

// runtimes remembers which executables are Go programs: to find out means to
// read a good part of the file, and a service may be started often. Starts are
// prepared beside the loop, hence the lock.
type runtimes struct {
	mu    sync.Mutex
	known map[identity]bool
}

// identity is a file as long as nobody writes to it.
type identity struct {
	dev, ino uint64
	size     int64
	changed  unix.Timespec
}

// maxRuntimes bounds the memory; beyond it everything is looked at anew.
const maxRuntimes = 1024

func (r *runtimes) isGo(path string) bool {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return false
	}
	id := identity{uint64(st.Dev), st.Ino, st.Size, st.Ctim}
	r.mu.Lock()
	is, ok := r.known[id]
	r.mu.Unlock()
	if ok {
		return is
	}
	_, err := buildinfo.ReadFile(path)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxRuntimes || r.known == nil {
		r.known = map[identity]bool{}
	}
	r.known[id] = err == nil
	return err == nil
}

func hasVariable(env []string, name string) bool {
	for _, e := range env {
		if strings.HasPrefix(e, name+"=") {
			return true
		}
	}
	return false
}

// credentialOf looks the user up; with another user comes its home.
func credentialOf(cfg config.Service, env *[]string) (*protocol.Credential, error) {
	uid, gid, groups, set, home, err := config.Credentials(cfg)
	if err != nil || !set {
		return nil, err
	}
	if cfg.User != "" && home != "" {
		if _, own := cfg.Environment["HOME"]; !own {
			*env = setVariable(*env, "HOME", home)
		}
		if _, own := cfg.Environment["USER"]; !own {
			*env = setVariable(*env, "USER", cfg.User)
			*env = setVariable(*env, "LOGNAME", cfg.User)
		}
	}
	if uid == uint32(os.Geteuid()) && gid == uint32(os.Getegid()) && os.Geteuid() != 0 {
		return nil, nil // already who it shall be; another would be refused
	}
	return &protocol.Credential{UID: uid, GID: gid, Groups: groups}, nil
}

func setVariable(env []string, name, value string) []string {
	out := env[:0:0]
	for _, e := range env {
		if !strings.HasPrefix(e, name+"=") {
			out = append(out, e)
		}
	}
	return append(out, name+"="+value)
}

// rlimitsOf are the configured limits, and the core limit of a Go program,
// whose crash then leaves a core that is read and removed.
func rlimitsOf(cfg config.Service, runtime string) []protocol.Rlimit {
	var out []protocol.Rlimit
	core := false
	for _, l := range cfg.Limits.List() {
		out = append(out, protocol.Rlimit{Resource: l.Resource, Soft: l.Value, Hard: l.Value})
		core = core || l.Resource == unix.RLIMIT_CORE
	}
	if core || runtime != "go" || cfg.Capture.CoreLimit <= 0 || cfg.Capture.TraceExit {
		return out
	}
	var own unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &own) != nil {
		return out
	}
	soft := uint64(cfg.Capture.CoreLimit)
	if os.Geteuid() == 0 {
		return append(out, protocol.Rlimit{Resource: unix.RLIMIT_CORE, Soft: soft, Hard: max(soft, own.Max)})
	}
	return append(out, protocol.Rlimit{Resource: unix.RLIMIT_CORE, Soft: min(soft, own.Max), Hard: own.Max})
}

// firstExtra is the number of the first descriptor that a child may be given.
const firstExtra = 3

// readyFiles makes the pipe on which a service writes a newline when it is
// ready. Descriptors below the wanted one are /dev/null. done closes our copies.
func (v *service) readyFiles() (files []*os.File, done func(), err error) {
	if v.cfg.Ready.FD == 0 {
		return nil, func() {}, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make readiness pipe: %w", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		r.Close()
		w.Close()
		return nil, nil, fmt.Errorf("cannot make readiness pipe: %w", err)
	}
	for range v.cfg.Ready.FD - firstExtra {
		files = append(files, null)
	}
	files = append(files, w)
	// A successor of ours goes on to wait. Without a reader the service would
	// even be ended by SIGPIPE when it gets ready.
	v.s.check(v.s.keeper.send(protocol.TPutFile, protocol.Name{Name: readyFile(v.cfg.Name)}, []*os.File{r}, nil))
	go v.awaitNewline(r, v.life.Instance)
	return files, func() { w.Close(); null.Close() }, nil
}

// readyFile is the name under which the keeper keeps the end of the readiness
// pipe that is read.
func readyFile(service string) string { return "ready/" + service }

// recoverReady goes on to wait for the newline.
func (v *service) recoverReady(r *os.File) {
	if r == nil {
		return
	}
	if v.life.State != lifecycle.Starting {
		r.Close()
		v.s.ask(protocol.TDropFile, protocol.Name{Name: readyFile(v.cfg.Name)})
		return
	}
	go v.awaitNewline(r, v.life.Instance)
}

// maxReadyLine bounds what is read of a readiness pipe.
const maxReadyLine = 4096

func (v *service) awaitNewline(r *os.File, instance uint64) {
	defer r.Close()
	_, err := bufio.NewReaderSize(r, maxReadyLine).ReadSlice('\n')
	v.s.post(func() {
		if instance == v.life.Instance {
			v.s.ask(protocol.TDropFile, protocol.Name{Name: readyFile(v.cfg.Name)})
		}
		if err != nil {
			return // closed without a newline: not ready, the start time-out judges
		}
		v.step(lifecycle.Event{Kind: lifecycle.EventReady, Instance: instance})
		v.arm()
	})
}
