// Command target is the program that tests of the capture freeze: TARGET_IDLE
// goroutines that wait, TARGET_THREADS locked threads, a deadlock of two
// mutexes when TARGET_DEADLOCK is set, TARGET_BALLAST MiB of memory; it answers every line of stdin, and
// counts SIGUSR1.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
)

type account struct {
	mu      sync.Mutex
	name    string
	balance int
}

//go:noinline
func transfer(from, to *account, amount int, ready *sync.WaitGroup) {
	from.mu.Lock()
	defer from.mu.Unlock()
	ready.Done()
	ready.Wait()
	to.mu.Lock()
	defer to.mu.Unlock()
	from.balance -= amount
	to.balance += amount
}

//go:noinline
func park(label string, number int, password string, release chan int) int {
	got := <-release
	fmt.Fprintln(os.Stderr, label, number, password, got)
	return number + got
}

//go:noinline
func occupy(release chan int, up *sync.WaitGroup) {
	runtime.LockOSThread()
	up.Done()
	var fds [2]int
	_ = syscall.Pipe(fds[:])
	var b [1]byte
	_, _ = syscall.Read(fds[0], b[:])
	<-release
}

func number(name string) int {
	n, _ := strconv.Atoi(os.Getenv(name))
	return n
}

func main() {
	var signals atomic.Int64
	usr := make(chan os.Signal, 4096)
	signal.Notify(usr, syscall.SIGUSR1)
	go func() {
		for range usr {
			fmt.Println("usr1", signals.Add(1))
		}
	}()
	ballast := make([]byte, number("TARGET_BALLAST")<<20) // bytes of MiB, each page written to
	for i := 0; i < len(ballast); i += os.Getpagesize() {
		ballast[i] = 1
	}
	defer runtime.KeepAlive(ballast)
	release := make(chan int)
	for range number("TARGET_IDLE") {
		go park("parked label", 4711, "hunter2", release)
	}
	var up sync.WaitGroup
	for range number("TARGET_THREADS") {
		up.Add(1)
		go occupy(release, &up)
	}
	up.Wait()
	if os.Getenv("TARGET_DEADLOCK") != "" {
		a, b := &account{name: "alice", balance: 100}, &account{name: "bob", balance: 50}
		var both, locked sync.WaitGroup
		both.Add(2)
		locked.Add(2)
		go func() { defer both.Done(); transfer(a, b, 7, &locked) }()
		go func() { defer both.Done(); transfer(b, a, 8, &locked) }()
		locked.Wait()
	}
	in := bufio.NewScanner(os.Stdin)
	fmt.Println("ready")
	for in.Scan() {
		fmt.Println("echo", in.Text())
	}
}
