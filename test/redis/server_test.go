package redis

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// server is a place for a Redis: a directory, a free port, and the files of the
// example, fitted to them.
type server struct {
	dir  string
	port string
}

// edit changes the text of an example; the old text must be there.
type edit struct{ from, to string }

// place makes a server. DEBUG, which makes it hang, is not allowed by default.
func place(t *testing.T) *server {
	t.Helper()
	requireRedis(t)
	dir, err := os.MkdirTemp("", "vigil-redis-") // not TempDir: another user must be able to reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{dir: dir, port: freePort(t)}
	home, port := edit{"/srv/redis", dir}, edit{"6379", s.port}
	toml := []edit{home, port}
	if os.Getuid() != 0 {
		toml = append(toml, edit{`user = "redis"`, ""})
	}
	adapt(t, "redis.conf", s.file("redis.conf"), home, port, edit{"appendonly yes", "appendonly yes\nenable-debug-command yes"})
	adapt(t, "redis.toml", s.file("redis.toml"), toml...)
	if os.Getuid() == 0 {
		giveToRedis(t, dir, s.file("redis.conf"))
	}
	return s
}

func (s *server) file(name string) string { return filepath.Join(s.dir, name) }

func giveToRedis(t *testing.T, files ...string) {
	t.Helper()
	u, err := user.Lookup("redis")
	if err != nil {
		t.Fatalf("the package redis-server makes a user, which is missing: %v", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for _, file := range files {
		if err := os.Chown(file, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
}

func adapt(t *testing.T, from, to string, edits ...edit) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(example, from))
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

// freePort is one that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// mostReply is how long one command may take.
const mostReply = 5 * time.Second

// send sends a command (an inline one of the protocol) and waits for nothing.
func (s *server) send(words string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+s.port, mostReply)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n", words); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// ask returns the first line of the answer to a command.
func (s *server) ask(words string) (string, error) {
	conn, err := s.send(words)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(mostReply)); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

// serves waits for an answer to a command.
func (s *server) serves(t *testing.T, words, want string) {
	t.Helper()
	eventually(t, 30*time.Second, words, func() error {
		got, err := s.ask(words)
		if err == nil && got != want {
			err = fmt.Errorf("the answer is %q", got)
		}
		return err
	})
}

// processes are those of the server: Redis shows its port in its command line.
func (s *server) processes() []int {
	return find(func(line string) bool { return strings.HasPrefix(line, program) && strings.Contains(line, ":"+s.port) })
}

// probes are the programs of probes that run.
func (s *server) probes() []int {
	return find(func(line string) bool {
		return strings.HasPrefix(line, filepath.Base(asker)+"\x00") && strings.Contains(line, "\x00-p\x00"+s.port+"\x00")
	})
}

// find lists the processes by their command lines, whose arguments end in NUL.
func find(wanted func(line string) bool) []int {
	var pids []int
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err != nil || !wanted(string(line)) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
