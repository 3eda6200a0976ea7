package main

import (
	"runtime"
	"sync"
)

func deadlocks() {
	byChannels()
	bySelect()
	byGroup()
	byCondition()
	byLock()
	byReaders()
	byReaderAgain()
	var none chan int
	go receiveNil(none)
	settle("receiveNil", "chan receive (nil chan)", 1)
}

//go:noinline
func receiveNil(c chan int) { <-c }

// byChannels: each sends before it receives.
//
//go:noinline
func byChannels() {
	a, b := make(chan int), make(chan int)
	go sendLeft(a, b)
	go sendRight(b, a)
	settle("sendLeft", "chan send", 1)
	settle("sendRight", "chan send", 1)
}

//go:noinline
func sendLeft(out, in chan int) { out <- 1; <-in; runtime.KeepAlive(out) }

//go:noinline
func sendRight(out, in chan int) { out <- 1; <-in; runtime.KeepAlive(out) }

// bySelect: both cases of the one are fed by the other, who waits for it.
//
//go:noinline
func bySelect() {
	a, b, c := make(chan int), make(chan int), make(chan int)
	go selectFirst(a, b, c)
	go selectSecond(a, b, c)
	settle("selectFirst", "select", 1)
	settle("selectSecond", "chan receive", 1)
}

//go:noinline
func selectFirst(a, b, c chan int) {
	select {
	case <-a:
	case b <- 1:
	}
	c <- 1
}

//go:noinline
func selectSecond(a, b, c chan int) { <-c; a <- 1; <-b }

// byGroup: results are taken when all workers are done, who wait for that.
//
//go:noinline
func byGroup() {
	results := make(chan int)
	group := &sync.WaitGroup{}
	for range 3 {
		group.Add(1)
		go groupWorker(results, group)
	}
	go groupCollect(results, group)
	settle("groupWorker", "chan send", 3)
	settle("groupCollect", "sync.WaitGroup.Wait", 1)
}

//go:noinline
func groupWorker(results chan int, group *sync.WaitGroup) {
	defer group.Done()
	results <- 1
}

//go:noinline
func groupCollect(results chan int, group *sync.WaitGroup) {
	group.Wait()
	for range results {
	}
}

// byCondition: who would signal waits for the one who waits for the signal.
//
//go:noinline
func byCondition() {
	var mu sync.Mutex
	cond := sync.NewCond(&mu)
	go1 := make(chan int)
	go condWaiter(cond, go1)
	go condSignaller(cond, go1)
	settle("condWaiter", "sync.Cond.Wait", 1)
	settle("condSignaller", "chan receive", 1)
}

//go:noinline
func condWaiter(cond *sync.Cond, next chan int) {
	cond.L.Lock()
	cond.Wait()
	cond.L.Unlock()
	next <- 1
}

//go:noinline
func condSignaller(cond *sync.Cond, next chan int) { <-next; cond.Signal() }

type box struct {
	mu sync.Mutex
	n  [4]int
}

// byLock: one sends under a lock that the receiver wants first.
//
//go:noinline
func byLock() {
	b, c := &box{}, make(chan int)
	held := make(chan struct{})
	go lockSender(b, c, held)
	<-held
	go lockReceiver(b, c)
	settle("lockSender", "chan send", 1)
	settle("lockReceiver", "sync.Mutex.Lock", 1)
}

//go:noinline
func lockSender(b *box, c chan int, held chan struct{}) {
	b.mu.Lock()
	close(held)
	c <- 1
	b.mu.Unlock()
}

//go:noinline
func lockReceiver(b *box, c chan int) {
	b.mu.Lock()
	b.n[0] += <-c
	b.mu.Unlock()
}

type shelf struct {
	mu sync.RWMutex
	n  [4]int
}

// byReaders: several readers wait for what the writer gives who waits for them.
//
//go:noinline
func byReaders() {
	s, c := &shelf{}, make(chan int)
	var held sync.WaitGroup
	held.Add(2)
	for range 2 {
		go shelfReader(s, c, held.Done)
	}
	held.Wait()
	go shelfWriter(s, c)
	settle("shelfReader", "chan receive", 2)
	settle("shelfWriter", "sync.RWMutex.Lock", 1)
}

//go:noinline
func shelfReader(s *shelf, c chan int, held func()) {
	s.mu.RLock()
	held()
	<-c
	s.mu.RUnlock()
}

//go:noinline
func shelfWriter(s *shelf, c chan int) {
	s.mu.Lock()
	s.n[0]++
	s.mu.Unlock()
	c <- 1
}

// byReaderAgain: a reader wants its lock once more and is held up by a writer.
//
//go:noinline
func byReaderAgain() {
	s := &shelf{}
	held, again := make(chan struct{}), make(chan struct{})
	go againReader(s, held, again)
	<-held
	go againWriter(s)
	settle("againWriter", "sync.RWMutex.Lock", 1)
	close(again)
	settle("againReader", "sync.RWMutex.RLock", 1)
}

//go:noinline
func againReader(s *shelf, held, again chan struct{}) {
	s.mu.RLock()
	close(held)
	<-again
	s.mu.RLock()
	s.mu.RUnlock()
	s.mu.RUnlock()
}

//go:noinline
func againWriter(s *shelf) {
	s.mu.Lock()
	s.n[0]++
	s.mu.Unlock()
}
