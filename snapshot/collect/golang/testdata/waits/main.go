// Command waits has goroutines that wait for each other: healthy ones that look
// like deadlocks, and with WAITS=deadlocks deadlocks as well. It says "ready" when
// they wait, and waits for the end of its input.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

func main() {
	debug.SetGCPercent(-1) // a collection would run finalizers that end some waits
	// What makes them ends, so that nothing of it is left on a stack.
	made := make(chan struct{})
	go func() {
		defer close(made)
		healthy()
		if os.Getenv("WAITS") == "deadlocks" {
			deadlocks()
		}
	}()
	<-made
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
	}
}

var buf = make([]byte, 1<<20)

// settle returns when a number of goroutines whose function has a name wait in a
// state.
func settle(function, state string, n int) {
	for {
		dump := buf[:runtime.Stack(buf, true)]
		count := 0
		for part := range bytes.SplitSeq(dump, []byte("\n\n")) {
			head, rest, _ := strings.Cut(string(part), "\n")
			if strings.Contains(head, "["+state) && strings.Contains(rest, "main."+function+"(") {
				count++
			}
		}
		if count >= n {
			return
		}
		runtime.Gosched()
	}
}
