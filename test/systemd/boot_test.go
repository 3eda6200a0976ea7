package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/internal/pidfd"
)

// rootVariable names a directory tree (of debootstrap, say) whose systemd is to
// be used instead of this machine's.
const rootVariable = "VIGIL_TEST_SYSTEMD_ROOT"

// stage is where the container has the test binary and the units.
const stage = "/opt/vigil-test"

const bootTime = 60 * time.Second

// errCannot says that this machine cannot boot a container.
var errCannot = errors.New("cannot boot a systemd here")

// container is a systemd that is pid 1 of a container over an overlay of a root
// directory: what it writes is gone with it. The caller is in
// a mount and a pid namespace of its own.
type container struct {
	dir     string // of the rig
	cgroups []string
	nspawn  *exec.Cmd
	ended   chan struct{} // nspawn has
	leader  pidfd.FD      // systemd
	pid     int
}

// cannot says why no container can be booted.
func cannot(root string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: not root", errCannot)
	}
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		return fmt.Errorf("%w: %w (Debian package systemd-container)", errCannot, err)
	}
	if _, err := os.Stat(filepath.Join(root, "usr/lib/systemd/systemd")); err != nil {
		if _, err = os.Stat(filepath.Join(root, "lib/systemd/systemd")); err != nil {
			return fmt.Errorf("%w: %w", errCannot, err)
		}
	}
	return nil
}

// boot starts the container. files, by their names, are in stage.
func boot(root, files string) (c *container, err error) {
	dir, err := os.MkdirTemp("", "vigil-systemd-")
	if err != nil {
		return nil, err
	}
	c = &container{dir: dir, leader: -1, ended: make(chan struct{})}
	defer func() {
		if err != nil {
			c.end()
		}
	}()
	if err := c.mount(root); err != nil {
		return nil, err
	}
	if err := c.furnish(); err != nil {
		return nil, err
	}
	if err := c.makeCgroups(); err != nil {
		return nil, err
	}
	return c, c.start(files, root != "/")
}

func (c *container) mount(root string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("%w: private mounts: %w", errCannot, err)
	}
	// We are pid 1 of a pid namespace: whatever ends us ends the container.
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("%w: proc: %w", errCannot, err)
	}
	if err := unix.Mount("tmpfs", c.dir, "tmpfs", 0, "size=512m,mode=755"); err != nil {
		return fmt.Errorf("%w: tmpfs: %w", errCannot, err)
	}
	for _, d := range []string{"lower", "upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(c.dir, d), 0o755); err != nil {
			return err
		}
	}
	// nspawn refuses "/" and an overlay of its own over it.
	if err := unix.Mount(root, c.dir+"/lower", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("%w: bind mount: %w", errCannot, err)
	}
	o := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", c.dir)
	if err := unix.Mount("overlay", c.dir+"/root", "overlay", 0, o); err != nil {
		return fmt.Errorf("%w: overlay: %w", errCannot, err)
	}
	return nil
}

// masked are units that would touch what the container shares with the machine
// (sysctl: kernel.core_pattern), or only cost time.
var masked = strings.Fields(`systemd-sysctl.service systemd-modules-load.service systemd-remount-fs.service
	systemd-udevd.service systemd-udev-trigger.service systemd-timesyncd.service systemd-firstboot.service
	systemd-update-utmp.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount dev-hugepages.mount
	systemd-pstore.service systemd-tmpfiles-clean.timer apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer
	logrotate.timer man-db.timer dpkg-db-backup.timer kmod-static-nodes.service systemd-networkd.service systemd-resolved.service`)

// furnish gives the container a target without any unit of the machine's own.
func (c *container) furnish() error {
	root := filepath.Join(c.dir, "root")
	units := filepath.Join(root, "etc/systemd/system")
	for _, d := range []string{units, root + stage, root + "/etc/systemd/system.conf.d"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"etc/systemd/system/vigil-test.target": "[Unit]\nRequires=basic.target dbus.socket\nAfter=basic.target dbus.socket\n",
		"etc/systemd/system.conf.d/test.conf":  "[Manager]\nDefaultTimeoutStopSec=5s\n",
		"etc/machine-id":                       "",
		"etc/fstab":                            "",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, unit := range masked {
		if err := os.Symlink("/dev/null", filepath.Join(units, unit)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// makeCgroups makes groups for the container below our own, since nspawn
// leaves some behind.
func (c *container) makeCgroups() error {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(own)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		var mount string
		switch {
		case len(f) == 3 && f[1] == "name=systemd":
			mount = "/sys/fs/cgroup/systemd"
		case len(f) == 3 && f[0] == "0":
			mount = "/sys/fs/cgroup/unified"
			if _, err := os.Stat(mount); err != nil {
				mount = "/sys/fs/cgroup"
			}
		default:
			continue
		}
		dir := filepath.Join(mount, f[2], filepath.Base(c.dir))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("%w: %w", errCannot, err)
		}
		c.cgroups = append(c.cgroups, dir)
	}
	return nil
}

// start starts systemd and waits until it has told nspawn, and that us, that
// it is up.
func (c *container) start(files string, unified bool) error {
	socket := filepath.Join(c.dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	console, err := os.Create(filepath.Join(c.dir, "console"))
	if err != nil {
		return err
	}
	defer console.Close()
	hierarchy := "0"
	if unified {
		hierarchy = "1"
	}
	script := `for g in $GROUPS_TO_JOIN; do echo $$ > $g/cgroup.procs || exit 1; done; exec systemd-nspawn "$@"`
	c.nspawn = exec.Command("sh", "-c", script, "nspawn", "--quiet", "--directory="+c.dir+"/root",
		"--machine="+filepath.Base(c.dir), "--register=no", "--keep-unit", "--private-network",
		"--resolv-conf=off", "--timezone=off", "--capability=all", "--console=pipe", "--notify-ready=yes",
		"--bind="+files+":"+stage, "--boot", "systemd.unit=vigil-test.target", "systemd.log_target=journal",
		"systemd.show_status=no", "systemd.unified_cgroup_hierarchy="+hierarchy)
	c.nspawn.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "GROUPS_TO_JOIN="+strings.Join(c.cgroups, " "),
		"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="+hierarchy)
	c.nspawn.Stdout, c.nspawn.Stderr = console, console
	c.nspawn.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.nspawn.Start(); err != nil {
		return err
	}
	go func() { _ = c.nspawn.Wait(); conn.Close(); close(c.ended) }()
	if err := c.waitForReady(conn); err != nil {
		text, _ := os.ReadFile(console.Name())
		return fmt.Errorf("cannot wait for systemd: %w\n%s", err, text)
	}
	return nil
}

func (c *container) waitForReady(conn *net.UnixConn) error {
	if err := conn.SetReadDeadline(time.Now().Add(bootTime)); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for ready := false; !ready || c.pid == 0; {
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(buf[:n])) {
			line = strings.TrimSpace(line)
			ready = ready || line == "READY=1"
			if pid, ok := strings.CutPrefix(line, "X_NSPAWN_LEADER_PID="); ok {
				if _, err := fmt.Sscan(pid, &c.pid); err != nil {
					return err
				}
			}
		}
	}
	var err error
	c.leader, err = pidfd.Open(c.pid)
	return err
}

// command is a command inside.
func (c *container) command(env []string, args ...string) *exec.Cmd {
	enter := []string{"--target", fmt.Sprint(c.pid), "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--root", "--wd", "--", "env", "-i"}
	enter = append(append(enter, env...), args...)
	cmd := exec.Command("nsenter", enter...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// end powers the container off and removes what boot made.
func (c *container) end() {
	if c.leader >= 0 {
		// SIGRTMIN+4 is poweroff.target, systemd(1).
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		if c.leader.Signal(syscall.Signal(34+4)) == nil && c.leader.Dead(ctx) != nil {
			_ = c.leader.Signal(syscall.SIGKILL) // with it goes its whole pid namespace
		}
		stop()
		_ = c.leader.Close()
	}
	if c.nspawn != nil && c.nspawn.Process != nil {
		select {
		case <-c.ended:
		case <-time.After(10 * time.Second):
			_ = c.nspawn.Process.Kill()
			<-c.ended
		}
	}
	for _, dir := range []string{"/root", "/lower", ""} {
		_ = unix.Unmount(c.dir+dir, unix.MNT_DETACH)
	}
	_ = os.Remove(c.dir)
	for _, g := range c.cgroups {
		removeGroups(g)
	}
}

func removeGroups(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeGroups(filepath.Join(dir, e.Name()))
		}
	}
	_ = os.Remove(dir)
}
