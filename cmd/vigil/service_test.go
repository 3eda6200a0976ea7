package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// playService is a service of the scripts: service ROLE ARG...
func playService() {
	role, args := os.Args[1], os.Args[2:]
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, unix.SIGTERM)
	switch role {
	case "wait": // says its arguments, one a line, and waits
		for _, line := range args {
			fmt.Println(line)
		}
	case "exit-on-term": // CODE
		fmt.Println("ready")
		<-terminate
		os.Exit(atoi(args[0]))
	case "die": // SIGNAL
		signal.Reset(unix.SIGTERM)
		must(syscall.Kill(os.Getpid(), unix.SignalNum("SIG"+args[0])))
	case "count": // FILE: leaves a mark and ends
		f, err := os.OpenFile(args[0], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		must(err)
		_, err = fmt.Fprintln(f, os.Getpid())
		must(err)
		return
	case "ignore-term": // PIDFILE
		signal.Ignore(unix.SIGTERM)
		writePID(args[0], os.Getpid())
		<-make(chan int, len(terminate))
	case "daemon": // PIDFILE: a child in a session of its own, which ignores TERM
		child := exec.Command(os.Args[0], "ignore-term", args[0])
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		must(child.Start())
	case "close-output": // PIDFILE
		must(unix.Close(1))
		must(unix.Close(2))
		writePID(args[0], os.Getpid())
	case "logger": // FILE reopen|deaf
		playLogger(args[0], args[1])
		return
	case "order": // NAME FILE [start=FIFO] [stop=FIFO]
		playOrder(terminate, args[0], args[1], args[2:])
		return
	case "notify": // MESSAGE...: to NOTIFY_SOCKET
		conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
		must(err)
		_, err = conn.Write([]byte(strings.Join(args, "\n")))
		must(err)
	default:
		panic("unknown role " + role)
	}
	<-terminate
}

// playOrder writes to a file that it shares with others what it does and when:
// begin, ready, term, end. It is ready, or ends, when somebody writes to the
// FIFO, if there is one.
func playOrder(terminate <-chan os.Signal, name, file string, gates []string) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(err)
	say := func(word string) {
		_, err := fmt.Fprintln(f, name, word)
		must(err)
	}
	gate := func(kind string) <-chan struct{} {
		open := make(chan struct{})
		go func() {
			for _, g := range gates {
				if path, ok := strings.CutPrefix(g, kind+"="); ok {
					_, err := os.ReadFile(path) // until it has been written to
					must(err)
				}
			}
			close(open)
		}()
		return open
	}
	say("begin")
	select {
	case <-gate("start"):
		say("ready")
		conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
		must(err)
		_, err = conn.Write([]byte("READY=1"))
		must(err)
		<-terminate
	case <-terminate:
	}
	say("term")
	<-gate("stop")
	say("end")
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	must(err)
	return n
}

// writePID writes a file that is complete as soon as it is there.
func writePID(path string, pid int) {
	must(os.WriteFile(path+".new", []byte(strconv.Itoa(pid)), 0o600))
	must(os.Rename(path+".new", path))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
