// Command zoo has one of every kind of goroutine that a reading must tell apart,
// says "ready", and waits for the end of its input; or it ends as it is told.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"syscall"
	"time"
)

var stop = make(chan struct{})

// tree makes a stack of its own of every number: a step left or right for each
// of its bits.
//
//go:noinline
func tree(bits, n int, up *sync.WaitGroup) {
	switch {
	case n == 0:
		up.Done()
		<-stop
	case bits&1 == 0:
		tree(bits>>1, n-1, up)
	default:
		tree(bits>>1, n-1, up)
	}
	runtime.KeepAlive(n)
}

//go:noinline
func labelled(up *sync.WaitGroup) {
	up.Done()
	<-stop
}

type account struct {
	mu   sync.Mutex
	name string
}

//go:noinline
func transfer(from, to *account, up *sync.WaitGroup) {
	from.mu.Lock()
	defer from.mu.Unlock()
	up.Done()
	up.Wait()
	to.mu.Lock()
	defer to.mu.Unlock()
}

//go:noinline
func spin(number int) {
	for i := 0; ; i++ {
		if i == number {
			i = 0
		}
	}
}

func numberOf(name string) int {
	n, _ := strconv.Atoi(os.Getenv(name))
	return n
}

//go:noinline
func read(p *int) int { return *p }

type bad struct{ code int }

func (b bad) Error() string { return fmt.Sprint("no route, code ", b.code) }

//go:noinline
func end(how string) {
	switch how {
	case "panic":
		panic(bad{7})
	case "fault":
		fmt.Println(read(nil))
	case "fatal":
		m := map[int]int{}
		for range 8 {
			go func() {
				for {
					m[1]++
				}
			}()
		}
		<-stop
	}
}

func main() {
	n := numberOf("ZOO_TREE")
	var up sync.WaitGroup
	up.Add(n + 6)
	for i := range n {
		go tree(i, 14, &up)
	}
	for _, tenant := range []string{"a", "b", "c"} {
		go pprof.Do(context.Background(), pprof.Labels("tenant", tenant, "api_key", "hunter2"), func(context.Context) { labelled(&up) })
	}
	one, two := &account{name: "one"}, &account{name: "two"}
	var both sync.WaitGroup
	both.Add(2)
	go func() { transfer(one, two, &both) }()
	go func() { transfer(two, one, &both) }()
	both.Wait()
	go func() { up.Done(); time.Sleep(time.Hour) }()
	go func() { up.Done(); select {} }()
	go func() { up.Done(); _, _ = net.Pipe(); r, w := io.Pipe(); _ = w; _, _ = r.Read(make([]byte, 1)) }()
	up.Wait()
	runtime.GC() // from now on the runtime knows since when they wait
	runtime.GC()
	if how := os.Getenv("ZOO_END"); how != "" {
		end(how)
	}
	go spin(numberOf("ZOO_TREE"))
	go func() {
		var fds [2]int
		if err := errors.Join(syscall.Pipe(fds[:])); err == nil {
			_, _ = syscall.Read(fds[0], make([]byte, 1))
		}
	}()
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
	}
}
