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

// freeAddress is a port that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
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
