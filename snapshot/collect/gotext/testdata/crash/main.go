// Command crash ends in the way that it is told.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
)

type bank struct{ mu sync.Mutex }

//go:noinline
func (b *bank) pay(n int) { b.mu.Lock() }

//go:noinline
func fault(p *int) int { return *p }

func main() {
	var b bank
	b.mu.Lock()
	for i := range 20 {
		go b.pay(i)
	}
	for all := make([]byte, 1<<20); strings.Count(string(all[:runtime.Stack(all, true)]), "[sync.Mutex.Lock") < 20; {
		runtime.Gosched() // they all wait when it ends
	}
	switch os.Args[1] {
	case "panic":
		var m map[string]int
		m["x"] = 1
	case "custom":
		panic(fmt.Errorf("no token %s", "Bearer abcdefghijklmnop1234"))
	case "nested":
		defer func() { panic(fmt.Sprint("again: ", recover())) }()
		panic("first")
	case "fault":
		fmt.Println(fault(nil))
	case "deadlock":
		b.mu.Lock()
	case "maps":
		m := map[int]int{}
		for range 8 {
			go func() {
				for {
					m[1]++
				}
			}()
		}
		select {}
	case "wait":
		fmt.Println("ready")
		never := make(chan os.Signal, 1)
		signal.Notify(never, os.Interrupt)
		<-never
	}
}
