package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/place"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/supervisor"
	"github.com/vigil-supervisor/vigil/supervisor/config"
)

// Where vigil-capture is looked for.
const (
	captureName = "vigil-capture"
	captureEnv  = "VIGIL_CAPTURE"
)

// duty is what the supervisor was started for.
type duty struct {
	place   place.Place
	load    func() (*config.Config, error)
	run     bool // one service, and we end with its code
	echo    bool
	socket  *os.File
	capture string // path of vigil-capture, "" when there is none
}

// supervisorCommand is the entry by which the keeper starts a supervisor. Its
// arguments are ours and may change with every version.
func (a *app) supervisorCommand() *cobra.Command {
	var f runFlags
	var d duty
	cmd := &cobra.Command{
		Use:    "supervisor",
		Short:  "The supervisor, started by the keeper",
		Hidden: true,
		RunE: a.do(func(_ *cobra.Command, args []string) error {
			return a.supervise(d, &f, args)
		}),
	}
	cmd.Flags().SetInterspersed(false)
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&d.run, "run", false, "the arguments are a command, not files")
	cmd.Flags().BoolVar(&d.echo, "echo", false, "show the output of the services")
	return cmd
}

func (a *app) supervise(d duty, f *runFlags, args []string) (err error) {
	if d.place, err = place.Resolve(a.options()); err != nil {
		return system(err)
	}
	if d.socket, err = keeperSocket(); err != nil {
		return err
	}
	defer d.socket.Close()
	d.load = func() (*config.Config, error) { return loadConfig(args) }
	if d.run {
		d.load = func() (*config.Config, error) { return f.commandConfig(d.place.Name, args) }
	}
	d.capture = capturePath()
	code, err := runSupervisor(d)
	if bad, ok := errors.AsType[*supervisor.BadConfig](err); ok {
		return a.badConfig(bad.Err)
	}
	if err != nil {
		return system(err)
	}
	if code != exitDone {
		return &exit{code: code}
	}
	return nil
}

// badConfig writes the mistakes of a configuration, one a line. The keeper
// passes the code on: see up.
func (a *app) badConfig(err error) error {
	a.mistakes(err)
	return &exit{code: exitUsage}
}

// keeperSocket takes the socket that the keeper left for us.
func keeperSocket() (*os.File, error) {
	kind, err := unix.GetsockoptInt(protocol.SocketFD, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || kind != unix.AF_UNIX {
		return nil, usagef("this command is for vigil itself: use vigil run or vigil up")
	}
	unix.CloseOnExec(protocol.SocketFD)
	return os.NewFile(protocol.SocketFD, "keeper"), nil
}

// capturePath finds vigil-capture: where the environment says, beside our own
// executable, or in PATH.
func capturePath() string {
	if path := os.Getenv(captureEnv); path != "" {
		return path
	}
	if own, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(own), captureName)
		if unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	path, err := exec.LookPath(captureName)
	if err != nil {
		return ""
	}
	return path
}

// mistakes writes an error of the configuration: those with a place as
// file:line:column, which editors understand.
func (a *app) mistakes(err error) {
	if list, ok := errors.AsType[config.Errors](err); ok {
		for _, one := range list {
			fmt.Fprintln(a.err, a.clean(a.err, one.Error()))
		}
		return
	}
	a.complain(err)
}
