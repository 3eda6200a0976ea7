package world

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/collect/counters"
)

const roleEnv = "WORLD_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		play(role, os.Getenv("WORLD_TEST_ADDRESS"))
		return
	}
	os.Exit(m.Run())
}

// play is a service of the tests: it connects, or listens and never accepts, and
// waits for the end of its input.
func play(role, address string) {
	switch role {
	case "connect":
		go func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			defer c.Close()
			_, _ = c.Write([]byte("hello"))
			select {}
		}()
	case "deaf":
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			panic(err)
		}
		a, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			panic(err)
		}
		if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}), unix.Listen(fd, 1)); err != nil {
			panic(err)
		}
	case "sink":
		l, err := net.Listen("tcp", address)
		if err != nil {
			panic(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = bufio.NewReader(c).ReadString(0) }()
			}
		}()
	}
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString(0)
}

// world of two hosts, each a network namespace of its own, with a cable between.
type hosts struct{ service, peer string }

func twoHosts(t *testing.T) hosts {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make network namespaces: run this test as root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("this test needs ip (Debian package iproute2): as root, run scripts/install-test-deps.sh")
	}
	h := hosts{fmt.Sprintf("vigil-s-%d", os.Getpid()), fmt.Sprintf("vigil-p-%d", os.Getpid())}
	for _, ns := range []string{h.service, h.peer} {
		ip(t, "netns", "add", ns)
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
	}
	ip(t, "-n", h.service, "link", "add", "left", "type", "veth", "peer", "name", "right", "netns", h.peer)
	ip(t, "-n", h.service, "addr", "add", "10.77.0.1/24", "dev", "left")
	ip(t, "-n", h.peer, "addr", "add", "10.77.0.2/24", "dev", "right")
	for ns, dev := range map[string]string{h.service: "left", h.peer: "right"} {
		ip(t, "-n", ns, "link", "set", dev, "up")
		ip(t, "-n", ns, "link", "set", "lo", "up")
	}
	// A link that comes up empties the neighbour table.
	limit := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ns, dev := range map[string]string{h.service: "left", h.peer: "right"} {
		for {
			out, err := exec.Command("ip", "-n", ns, "-o", "link", "show", dev).Output()
			if err == nil && strings.Contains(string(out), "state UP") {
				break
			}
			select {
			case <-tick.C:
			case <-limit:
				t.Fatalf("the link of %s does not come up: %s", ns, out)
			}
		}
	}
	return h
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// start runs a role in a namespace, and returns its pid.
func start(t *testing.T, ns, role, address string) int {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ip", "netns", "exec", ns, self) // ip becomes it by execve
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "WORLD_TEST_ADDRESS="+address)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatal(line, err)
	}
	return cmd.Process.Pid
}

// finds looks again and again until a sentence is there.
func finds(t *testing.T, opt Options, words ...string) snapshot.World {
	t.Helper()
	limit := time.After(30 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		w := Collect(opt)
		for _, f := range w.Findings {
			all := true
			for _, word := range words {
				all = all && strings.Contains(f, word)
			}
			if all {
				t.Log(f)
				return w
			}
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("no finding with %q: %+v, sockets %+v, peers %+v, missing %q", words, w.Findings, w.Sockets, w.Peers, w.Missing)
		}
	}
}

// TestBlackHole: the service has a wrong address of the peer, as after a failover
// that nobody told of.
func TestBlackHole(t *testing.T) {
	h := twoHosts(t)
	// Permanent: the kernel would ask for a stale one again, and be told better.
	ip(t, "-n", h.service, "neigh", "replace", "10.77.0.2", "lladdr", "02:00:00:00:00:99", "dev", "left", "nud", "permanent")
	pid := start(t, h.service, "connect", "10.77.0.2:27017")
	w := finds(t, Options{PID: pid}, "dependency 10.77.0.2:27017 unreachable", "SYNs unanswered", "the neighbour entry for it (02:00:00:00:00:99) is fixed by hand")
	if len(w.Peers) != 1 || w.Peers[0].Device != "left" || w.Peers[0].Entry == nil {
		t.Errorf("%+v", w.Peers)
	}
}

// TestBlackHoleBack: the peer has a wrong address of the service: nothing comes
// back, and our own entry is good.
func TestBlackHoleBack(t *testing.T) {
	h := twoHosts(t)
	start(t, h.peer, "sink", "10.77.0.2:80")
	ip(t, "-n", h.peer, "neigh", "replace", "10.77.0.1", "lladdr", "02:00:00:00:00:98", "dev", "right", "nud", "permanent")
	ip(t, "-n", h.service, "neigh", "replace", "10.77.0.2", "lladdr", address(t, h.peer, "right"), "dev", "left", "nud", "reachable")
	pid := start(t, h.service, "connect", "10.77.0.2:80")
	finds(t, Options{PID: pid}, "dependency 10.77.0.2:80 unreachable", "SYNs unanswered")
}

// TestNobodyThere: no host has that address.
func TestNobodyThere(t *testing.T) {
	h := twoHosts(t)
	pid := start(t, h.service, "connect", "10.77.0.9:80")
	limit := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		w := Collect(Options{PID: pid})
		if len(w.Sockets) == 1 && w.Sockets[0].State == "SYN-SENT" && len(w.Peers) == 1 && w.Peers[0].Entry != nil && (w.Peers[0].Entry.State == "INCOMPLETE" || w.Peers[0].Entry.State == "FAILED") {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%+v", w)
		}
	}
}

func address(t *testing.T, ns, dev string) string {
	t.Helper()
	out, err := exec.Command("ip", "-n", ns, "-o", "link", "show", dev).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(out), "link/ether ")
	mac, _, _ := strings.Cut(rest, " ")
	return mac
}

// TestCorruption: segments arrive whose checksum is wrong.
func TestCorruption(t *testing.T) {
	h := twoHosts(t)
	pid := start(t, h.service, "sink", "10.77.0.1:80")
	base, err := counters.Read(pid)
	if err != nil {
		t.Fatal(err)
	}
	sendCorrupt(t, h.peer, 5)
	w := finds(t, Options{PID: pid, Baseline: &base}, "5 segments with bad checksums received since start")
	if w.Counters == nil || w.Counters.InCsumErrors != 5 {
		t.Errorf("%+v", w.Counters)
	}
}

// sendCorrupt sends TCP segments with a wrong checksum, from a namespace.
func sendCorrupt(t *testing.T, ns string, n int) {
	t.Helper()
	done := make(chan error, 1)
	var sent error
	go enter("/run/netns/"+ns, func() {
		sent = func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			var segment [20]byte
			binary.BigEndian.PutUint16(segment[0:], 4711)
			binary.BigEndian.PutUint16(segment[2:], 80)
			segment[12], segment[13] = 5<<4, 0x10 // ACK
			binary.BigEndian.PutUint16(segment[16:], 0xdead)
			for range n {
				if err := unix.Sendto(fd, segment[:], 0, &unix.SockaddrInet4{Addr: [4]byte{10, 77, 0, 1}}); err != nil {
					return err
				}
			}
			return nil
		}()
	}, done)
	if err := errors.Join(<-done, sent); err != nil {
		t.Fatal(err)
	}
}

// TestDeaf: a listener that nobody accepts from.
func TestDeaf(t *testing.T) {
	h := twoHosts(t)
	pid := start(t, h.service, "deaf", "10.77.0.1:80")
	for range 4 {
		start(t, h.peer, "connect", "10.77.0.1:80")
	}
	finds(t, Options{PID: pid}, "listener 10.77.0.1:80: 2 connections wait to be accepted, of 1 allowed")
}
