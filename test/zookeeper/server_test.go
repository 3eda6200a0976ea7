package zookeeper

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// server is a place for a ZooKeeper: a directory, a free port, and the
// configurations of the example, fitted to them.
type server struct {
	dir     string
	address string
	config  string // of vigil
}

// edit changes the text of an example; the old text must be there.
type edit struct{ from, to string }

// newServer makes the directory and chooses the port.
func newServer(t *testing.T) *server {
	t.Helper()
	requireZooKeeper(t)
	dir, err := os.MkdirTemp("", "vigil-zookeeper-") // not TempDir: another user must be able to reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &server{dir: dir, address: freeAddress(t)}
}

// place makes a server of one of the examples.
func place(t *testing.T, example string, edits ...edit) *server {
	t.Helper()
	s := newServer(t)
	_, port := split(t, s.address)
	adapt(t, filepath.Join(examples, "zoo.cfg"), filepath.Join(s.dir, "zoo.cfg"), edit{"/srv/zookeeper", s.dir}, edit{"clientPort=2181", "clientPort=" + port})
	if example != "zkserver.toml" { // which has no probes
		edits = append(edits, edit{"127.0.0.1:2181", s.address})
	}
	s.supervise(t, filepath.Join(examples, example), edits...)
	return s
}

// supervise makes vigil's configuration of an example, and gives the directory
// to the user of the service.
func (s *server) supervise(t *testing.T, example string, edits ...edit) {
	t.Helper()
	if os.Getuid() == 0 {
		giveToZooKeeper(t, s.dir)
	} else {
		edits = append(edits, edit{`user = "zookeeper"`, ""})
	}
	s.config = filepath.Join(s.dir, "vigil.toml")
	adapt(t, example, s.config, append(edits, edit{"/srv/zookeeper", s.dir})...)
}

func giveToZooKeeper(t *testing.T, dir string) {
	t.Helper()
	u, err := user.Lookup("zookeeper")
	if err != nil {
		t.Fatalf("the package zookeeper makes a user, which is missing: %v", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, uid, gid))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func adapt(t *testing.T, from, to string, edits ...edit) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, e := range edits {
		if !strings.Contains(text, e.from) {
			t.Fatalf("%s does not hold %q any more", from, e.from)
		}
		text = strings.ReplaceAll(text, e.from, e.to)
	}
	if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func split(t *testing.T, address string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// Ports that are handed out: below those that the kernel gives to connections
// (net.ipv4.ip_local_port_range, 32768 and above unless it is set), which would
// take a free one before its server does.
const (
	firstPort = 10000
	manyPorts = 22000
)

// portsUsed counts on from a place that differs from one run to the next.
var portsUsed atomic.Uint32

// freeAddress is a port that is free, and that no other test of this run gets.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range manyPorts {
		port := firstPort + (os.Getpid()*37+int(portsUsed.Add(1)))%manyPorts
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().String()
	}
	t.Fatal("there is no free port")
	return ""
}

// processes are those whose command line names the server's zoo.cfg: java, or
// the script before it became java.
func (s *server) processes() []int {
	var pids []int
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(line), filepath.Join(s.dir, "zoo.cfg")) || strings.Contains(string(line), s.config) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
