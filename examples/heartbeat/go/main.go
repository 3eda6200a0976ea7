// Command go is a housekeeper with one goroutine and one activity for each of
// its jobs, any of which can be wedged while the others go on; see ../README.md.
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vigil-supervisor/vigil/heartbeat"
)

func main() {
	arguments := os.Args[1:]
	if len(arguments) == 0 {
		arguments = []string{"reader=2000", "indexer=2000", "flusher=2000", "sweeper"}
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)

	jobs := make(map[string]*job)
	var working sync.WaitGroup
	stopping := make(chan struct{})
	for _, argument := range arguments {
		j, err := newJob(argument)
		if err != nil {
			log.Fatal(err)
		}
		jobs[j.name] = j
		working.Go(func() { j.run(stopping) })
	}
	go obey(jobs, stopping)
	notify("READY=1")
	fmt.Println("ready")

	<-stop
	notify("STOPPING=1")
	close(stopping)
	working.Wait() // for ever, if a job is wedged: then only a KILL helps
}

// notify tells the supervisor, if there is one.
func notify(message string) {
	if err := heartbeat.Notify(message); err != nil {
		log.Print(err)
	}
}

// obey reads orders, "VERB NAME" on a line each, from the FIFO that CONTROL
// names or else from standard input.
func obey(jobs map[string]*job, stopping <-chan struct{}) {
	var from io.Reader = os.Stdin
	if path := os.Getenv("CONTROL"); path != "" {
		fifo, err := os.OpenFile(path, os.O_RDWR, 0) // for writing too: so it never ends
		if err != nil {
			log.Fatal(err)
		}
		from = fifo
	}
	for lines := bufio.NewScanner(from); lines.Scan(); {
		verb, name, _ := strings.Cut(lines.Text(), " ")
		j := jobs[name]
		if j == nil {
			log.Printf("no job %q", name)
			continue
		}
		select {
		case j.orders <- verb:
		case <-stopping:
			return
		}
	}
}

// pause is the longest between two rounds of a job.
const pause = 20 * time.Millisecond

// broken is locked and nobody will unlock it: the bug of the demonstration.
var broken sync.Mutex

func init() { broken.Lock() }

// job is something that the housekeeper does again and again.
type job struct {
	name     string
	activity *heartbeat.Activity
	orders   chan string
	sum      uint32
}

// newJob makes the job NAME, or NAME=MILLISECONDS with a timeout of its own.
func newJob(argument string) (*job, error) {
	name, limit, _ := strings.Cut(argument, "=")
	milliseconds, err := strconv.Atoi(cmp.Or(limit, "0"))
	if err != nil {
		return nil, fmt.Errorf("cannot use timeout of %s: %w", argument, err)
	}
	activity, err := heartbeat.Claim(name, time.Duration(milliseconds)*time.Millisecond)
	if err != nil {
		log.Printf("unwatched: %v", err) // the activity can be used all the same
	}
	return &job{name: name, activity: activity, orders: make(chan string)}, nil
}

func (j *job) run(stopping <-chan struct{}) {
	defer j.activity.Release()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for resting := false; ; {
		if !resting {
			j.activity.Busy()
			j.round()
			j.activity.Idle()
		}
		select {
		case verb := <-j.orders:
			switch verb {
			case "wedge":
				j.wedge()
			case "rest", "work":
				resting = verb == "rest"
				fmt.Println(j.name, "has to", verb)
			case "leave":
				j.activity.Release()
				fmt.Println(j.name, "has left")
				return
			}
		case <-tick.C:
		case <-stopping:
			j.activity.Stopping()
			j.round()
			return
		}
	}
}

// round is the work: some checksums, and a beat after each.
func (j *job) round() {
	block := make([]byte, 4096)
	for range 16 {
		j.sum = crc32.Update(j.sum, crc32.IEEETable, block)
		j.activity.Beat()
	}
}

func (j *job) wedge() {
	j.activity.Busy()
	fmt.Println(j.name, "is wedged")
	broken.Lock() // never returns
}
