package main

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"
)

func healthy() {
	idlePool()
	idleGroup()
	ticking()
	withDeadline()
	byTimer()
	byFinalizer()
	byCleanup()
	byGlobal()
	byRunning()
	byClosure()
	server()
}

// look is a pair that looks like a deadlock: each waits for what the other has.
// Whoever has one of the channels as well can end that.
type look struct{ a, b chan int }

func newLook() *look {
	l := &look{make(chan int), make(chan int)}
	go lookLeft(l.a, l.b)
	go lookRight(l.a, l.b)
	return l
}

//go:noinline
func lookLeft(a, b chan int) { <-a; b <- 1; <-a }

//go:noinline
func lookRight(a, b chan int) { <-b; a <- 1; <-b }

// pool is idle: its workers wait for work from the producer, its collector for
// results from the workers.
type pool struct {
	jobs    chan int
	results chan int
}

type producer struct {
	in   net.Listener
	deep *struct{ pool *pool }
}

//go:noinline
func idlePool() {
	p := &pool{make(chan int), make(chan int)}
	for range 8 {
		go poolWorker(p.jobs, p.results)
	}
	go poolCollector(p.jobs, p.results)
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go produce(&producer{in, &struct{ pool *pool }{p}})
	settle("poolWorker", "chan receive", 8)
	settle("poolCollector", "chan receive", 1)
	settle("produce", "IO wait", 1)
}

//go:noinline
func poolWorker(jobs, results chan int) {
	for n := range jobs {
		results <- n
	}
}

//go:noinline
func poolCollector(jobs, results chan int) {
	for range results {
	}
	close(jobs)
}

//go:noinline
func produce(p *producer) {
	for {
		c, err := p.in.Accept()
		if err != nil {
			return
		}
		p.deep.pool.jobs <- 1
		_ = c.Close()
	}
}

// idleGroup: one waits for a group of which one sleeps.
//
//go:noinline
func idleGroup() {
	group, done := &sync.WaitGroup{}, make(chan int)
	group.Add(2)
	go groupSleeper(group, done)
	go groupReceiver(group, done)
	go groupWaiter(group, done)
	settle("groupSleeper", "sleep", 1)
	settle("groupReceiver", "chan receive", 1)
	settle("groupWaiter", "sync.WaitGroup.Wait", 1)
}

//go:noinline
func groupSleeper(group *sync.WaitGroup, done chan int) {
	time.Sleep(time.Hour)
	close(done)
	group.Done()
}

//go:noinline
func groupReceiver(group *sync.WaitGroup, done chan int) { <-done; group.Done() }

//go:noinline
func groupWaiter(group *sync.WaitGroup, done chan int) { group.Wait(); runtime.KeepAlive(done) }

//go:noinline
func ticking() {
	stop, done := make(chan int), make(chan int)
	go tick(stop, done)
	go stopTick(stop, done)
	settle("tick", "select", 1)
	settle("stopTick", "chan receive", 1)
}

//go:noinline
func tick(stop, done chan int) {
	t := time.NewTicker(time.Hour)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-stop:
			close(done)
			return
		}
	}
}

//go:noinline
func stopTick(stop, done chan int) { <-done; close(stop) }

//go:noinline
func withDeadline() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	_ = cancel
	a := make(chan int)
	go deadlineLeft(ctx, a)
	go deadlineRight(ctx, a)
	settle("deadlineLeft", "select", 1)
	settle("deadlineRight", "chan receive", 1)
}

//go:noinline
func deadlineLeft(ctx context.Context, a chan int) {
	select {
	case <-ctx.Done():
	case a <- 1:
	}
}

//go:noinline
func deadlineRight(ctx context.Context, a chan int) { <-ctx.Done(); <-a }

//go:noinline
func byTimer() {
	l := newLook()
	time.AfterFunc(time.Hour, func() { l.a <- 1 })
	settle("lookLeft", "chan receive", 1)
}

// handle is a thing whose end ends a pair.
type handle struct{ l *look }

//go:noinline
func byFinalizer() {
	runtime.SetFinalizer(&handle{newLook()}, func(h *handle) { close(h.l.a) })
	settle("lookLeft", "chan receive", 2)
}

//go:noinline
func byCleanup() {
	runtime.AddCleanup(&handle{}, func(l *look) { close(l.b) }, newLook())
	settle("lookLeft", "chan receive", 3)
}

var registry = map[string]*look{}

//go:noinline
func byGlobal() {
	registry["one"] = newLook()
	settle("lookLeft", "chan receive", 4)
}

//go:noinline
func byRunning() {
	go spin(newLook())
	settle("lookLeft", "chan receive", 5)
}

//go:noinline
func spin(l *look) {
	for i := 0; ; i++ {
		if i < 0 {
			close(l.b)
		}
	}
}

//go:noinline
func byClosure() {
	l := newLook()
	f := func() { close(l.a) }
	deep := []any{map[int]func(){1: f}}
	go sleeper(deep)
	settle("lookLeft", "chan receive", 6)
	settle("lookRight", "chan receive", 6)
}

//go:noinline
func sleeper(deep []any) {
	time.Sleep(time.Hour)
	deep[0].(map[int]func())[1]()
}

// server is one with a request that waits for an event, and a client's.
//
//go:noinline
func server() {
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	l := newLook()
	go func() {
		_ = http.Serve(in, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/wait" {
				<-l.a
			}
		}))
	}()
	for _, path := range []string{"/", "/"} {
		res, err := http.Get("http://" + in.Addr().String() + path)
		if err == nil {
			_ = res.Body.Close()
		}
	}
	go func() { _, _ = http.Get("http://" + in.Addr().String() + "/wait") }()
	settle("server.func1.1", "chan receive", 1)
}
