package main

import (
	"fmt"
	"log"
	"sync"
)

// account is one customer's money. Whoever moves money holds the lock.
type account struct {
	name    string
	mu      sync.Mutex
	balance int
}

// job is one piece of work for one worker. done may be nil.
type job struct {
	name string
	do   func(worker string)
	done chan struct{}
}

// bank has accounts and workers that move money between them.
type bank struct {
	accounts []*account
	workers  []*worker
	running  sync.WaitGroup
	audit    map[string]int // openBank forgets it: see /crash
}

// worker takes jobs from its own queue, one at a time.
type worker struct {
	name string
	jobs chan job
}

func openBank() *bank {
	b := &bank{}
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		b.accounts = append(b.accounts, &account{name: name, balance: 1000})
	}
	for i := range 6 {
		w := &worker{name: fmt.Sprintf("teller-%d", i+1), jobs: make(chan job)}
		b.workers = append(b.workers, w)
		b.running.Go(w.run)
	}
	return b
}

// close lets every worker finish its job and end.
func (b *bank) close() {
	for _, w := range b.workers {
		close(w.jobs)
	}
	b.running.Wait()
}

func (w *worker) run() {
	for j := range w.jobs {
		j.do(w.name)
		if j.done != nil {
			close(j.done)
		}
	}
}

// transfer moves money. Both locks are always taken in the order of the
// accounts in the bank, so that two transfers cannot wait for each other.
func (b *bank) transfer(from, to, amount int) error {
	payer, payee := b.accounts[from], b.accounts[to]
	first, second := payer, payee
	if from > to {
		first, second = payee, payer
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	second.mu.Lock()
	defer second.mu.Unlock()
	if payer.balance < amount {
		return fmt.Errorf("%s has %d, which is less than %d", payer.name, payer.balance, amount)
	}
	payer.balance -= amount
	payee.balance += amount
	return nil
}

// total is all the money in the bank; it never changes.
func (b *bank) total() int {
	sum := 0
	for _, a := range b.accounts {
		a.mu.Lock()
		defer a.mu.Unlock()
		sum += a.balance
	}
	return sum
}

// round gives every worker one transfer and returns when all are done. This
// is the bank's pulse: it needs every worker and every lock.
func (b *bank) round() {
	var pending []chan struct{}
	for i, w := range b.workers {
		done := make(chan struct{})
		from, to := i%len(b.accounts), (i+1)%len(b.accounts)
		w.jobs <- job{name: "transfer", done: done, do: func(worker string) {
			amount := 1 + i
			if err := b.transfer(from, to, amount); err != nil {
				log.Printf("%s: transfer refused: %v", worker, err)
			}
		}}
		pending = append(pending, done)
	}
	for _, done := range pending {
		<-done
	}
}
