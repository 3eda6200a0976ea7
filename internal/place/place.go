package place

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Names of the environment variables that override a directory.
const (
	EnvRuntimeDir = "VIGIL_RUNTIME_DIR"
	EnvStateDir   = "VIGIL_STATE_DIR"
)

// Place is where one instance keeps what it needs.
type Place struct {
	Name    string
	Runtime string // absolute path of the runtime directory
	State   string // absolute path of the state directory
	uid     int
	private string // directory in /tmp that must be ours alone; "" when there is none
}

// Options say which place is meant. Begin with Ours.
type Options struct {
	Name       string // "" is DefaultName
	RuntimeDir string // overrides; "" does not
	StateDir   string
	Getenv     func(string) string
	UID        int    // effective
	Temporary  string // where the fallback of the runtime directory is; "" is /tmp

	_ struct{}
}

// Ours returns the options of this process: its environment and effective user.
func Ours() Options { return Options{Getenv: os.Getenv, UID: os.Geteuid()} }

func (o Options) runtimeOverride() string { return override(o.RuntimeDir, o.Getenv(EnvRuntimeDir)) }
func (o Options) stateOverride() string   { return override(o.StateDir, o.Getenv(EnvStateDir)) }

func override(flag, env string) string {
	if flag != "" {
		return flag
	}
	return env
}

// Resolve returns the place of an instance and creates nothing. Errors are
// about the name (ErrName), about a home that is unknown, or about a fallback
// directory in /tmp that belongs to somebody else (ErrForeign).
func Resolve(o Options) (Place, error) {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if err := CheckName(o.Name); err != nil {
		return Place{}, err
	}
	p := Place{Name: o.Name, uid: o.UID}
	if err := p.resolveRuntime(o); err != nil {
		return Place{}, err
	}
	if err := p.resolveState(o); err != nil {
		return Place{}, err
	}
	return p, nil
}

func (p *Place) resolveRuntime(o Options) (err error) {
	if dir := o.runtimeOverride(); dir != "" {
		p.Runtime, err = absolute(dir)
		return err
	}
	base, private, err := runtimeBase(o)
	if err != nil {
		return err
	}
	p.private = private
	p.Runtime = filepath.Join(base, p.Name)
	return nil
}

func (p *Place) resolveState(o Options) (err error) {
	if dir := o.stateOverride(); dir != "" {
		p.State, err = absolute(dir)
		return err
	}
	base, err := stateBase(o)
	if err != nil {
		return err
	}
	p.State = filepath.Join(base, p.Name)
	return nil
}

// runtimeBase returns the directory that holds the runtime directories of all
// instances, and the private one in /tmp if it is that.
func runtimeBase(o Options) (base, private string, err error) {
	if o.UID == 0 {
		return "/run/vigil", "", nil
	}
	// A relative path is invalid and to be ignored (XDG Base Directory 0.8).
	if dir := o.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "vigil"), "", nil
	}
	temporary := o.Temporary
	if temporary == "" {
		temporary = "/tmp"
	}
	private = filepath.Join(temporary, "vigil-"+strconv.Itoa(o.UID))
	if err := checkPrivate(private, o.UID); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", "", err
	}
	return private, private, nil
}

func stateBase(o Options) (string, error) {
	if o.UID == 0 {
		return "/var/lib/vigil", nil
	}
	if dir := o.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "vigil"), nil
	}
	if home := o.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "vigil"), nil
	}
	return "", fmt.Errorf("cannot find the state directory: HOME is not set; choose one by --state-dir or %s", EnvStateDir)
}

// absolute makes a path that goes to other processes mean the same there.
func absolute(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("cannot resolve directory %s: %w", dir, err)
	}
	return path, nil
}

// GivenState reports whether the state directory is given by flag or
// environment, and so does not depend on the name.
func (o Options) GivenState() bool { return o.stateOverride() != "" }
