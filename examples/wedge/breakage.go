package main

import "log"

// payInWrongOrder is the bug of the demonstration: it locks the payer before
// the payee, whatever their order. holds is told that the first lock is held;
// the second one is asked for when the other worker holds it for certain.
func payInWrongOrder(worker string, from, to *account, amount int, holds chan<- struct{}, otherHolds <-chan struct{}) {
	from.mu.Lock()
	defer from.mu.Unlock()
	close(holds)
	<-otherHolds
	log.Printf("%s: moves %d from %s to %s", worker, amount, from.name, to.name)
	to.mu.Lock() // never returns
	defer to.mu.Unlock()
	from.balance -= amount
	to.balance += amount
}

// deadlock makes two workers wait for each other for ever. It returns when
// each holds what the other one needs.
func (b *bank) deadlock() {
	alice, bob := b.accounts[0], b.accounts[1]
	aliceHeld, bobHeld := make(chan struct{}), make(chan struct{})
	b.workers[0].jobs <- job{name: "deadlock", do: func(worker string) {
		payInWrongOrder(worker, alice, bob, 70, aliceHeld, bobHeld)
	}}
	b.workers[1].jobs <- job{name: "deadlock", do: func(worker string) {
		payInWrongOrder(worker, bob, alice, 30, bobHeld, aliceHeld)
	}}
	<-aliceHeld
	<-bobHeld
}

// crash makes a worker panic.
func (b *bank) crash() {
	b.workers[2].jobs <- job{name: "audit", do: func(worker string) {
		b.recordAudit(worker, b.accounts[2].name, 42)
	}}
}

// recordAudit writes to a map that nobody made.
func (b *bank) recordAudit(worker, customer string, amount int) {
	b.audit[worker+"/"+customer] = amount
}

// leak starts goroutines that wait for an answer that nobody sends.
func leak(n int) {
	answers := make(chan int)
	for ticket := range n {
		go waitForAnswer(ticket, answers)
	}
}

func waitForAnswer(ticket int, answers <-chan int) {
	log.Printf("ticket %d answered: %d", ticket, <-answers)
}
