// Command browse measures what the server of `vigil browse` takes to answer, over
// loopback: the list of many incidents, and the first view of one with many
// goroutines (manifest, then the first page of its stacks), each the first time
// and again. Beside it stands what decoding the same files alone takes.
//
//	go run ./bench/browse [-incidents 10000] [-n 5]
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/vigil-supervisor/vigil/browser"
	"github.com/vigil-supervisor/vigil/browser/api"
	"github.com/vigil-supervisor/vigil/internal/rig"
	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

func main() {
	incidents := flag.Int("incidents", 10_000, "incidents in the list")
	n := flag.Int("n", 5, "times that each is asked for")
	flag.Parse()
	if err := run(*incidents, *n); err != nil {
		fmt.Fprintln(os.Stderr, "browse:", err)
		os.Exit(1)
	}
}

func run(incidents, n int) error {
	dir, err := os.MkdirTemp("", "vigil-bench-browse-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	at := time.Now().Add(-time.Duration(incidents+10) * time.Minute)
	for i := range incidents {
		if _, err := write(s, at.Add(time.Duration(i)*time.Minute), fmt.Sprintf("service-%d", i%20), fmt.Sprintf("v2:%04d", i%500), goroutines(20, 10)); err != nil {
			return err
		}
	}
	fmt.Printf("%-44s %10s %10s %10s\n", "", "first", "again", "decoding")
	if err := list(dir, s, n, incidents); err != nil {
		return err
	}
	for _, g := range []int{10_000, 100_000} {
		if err := view(n, g); err != nil {
			return err
		}
	}
	return nil
}

// goroutines makes stacks with so many goroutines in so many groups.
func goroutines(count, groups int) *snapshot.Stacks {
	st := &snapshot.Stacks{Schema: snapshot.SchemaVersion, Runtime: "go", Total: count, Unwound: count}
	each := max(count/groups, 1)
	id := int64(1)
	for g := range groups {
		group := snapshot.Group{Count: each, Status: "waiting", WaitReason: "chan receive", Sample: id}
		for range each {
			group.IDs = append(group.IDs, id)
			group.Members = append(group.Members, snapshot.Member{ID: id})
			id++
		}
		for f := range 12 {
			group.Frames = append(group.Frames, snapshot.Frame{PC: 0x400000, Place: snapshot.Place{
				Function: fmt.Sprintf("github.com/acme/shop/part%d.(*Worker).step%d", g%997, f), File: fmt.Sprintf("/src/shop/part%d/worker.go", g%997), Line: 10*f + g%7}})
		}
		st.Groups = append(st.Groups, group)
	}
	return st
}

func write(s *store.Store, at time.Time, service, fingerprint string, st *snapshot.Stacks) (string, error) {
	w, err := s.Begin(store.Subject{Service: service, Instance: 1, PID: 1, Cause: snapshot.CauseHang}, at)
	if err != nil {
		return "", err
	}
	if err := errors.Join(w.WriteJSON(snapshot.FileStacks, st), w.Pending()); err != nil {
		return "", err
	}
	i, err := w.Complete(snapshot.Incident{Schema: snapshot.SchemaVersion, Service: service, Instance: 1, PID: 1, Time: at.UTC(), Cause: snapshot.CauseHang,
		Sentence: "hang: no beat for 10s (limit 10s); 2 goroutines likely deadlocked on sync.Mutex", Fingerprint: fingerprint,
		Card: &snapshot.Card{Sentence: "2 goroutines likely deadlocked on sync.Mutex", Confidence: snapshot.ConfidenceLikely}})
	return i.ID, err
}

// client asks a server of its own, so that the first answer is a first one.
type client struct {
	s    *browser.Server
	http *http.Server
	at   string
}

func serve(dir string, s *store.Store) (*client, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b, err := browser.New(browser.Options{Hosts: []string{l.Addr().String()}, Sources: []browser.Source{{Name: "bench", Path: dir, Kind: "store", Reader: s}}})
	if err != nil {
		return nil, err
	}
	c := &client{b, browser.HTTPServer(b.Handler()), "http://" + l.Addr().String() + api.Prefix}
	go c.http.Serve(l)
	return c, nil
}

func (c *client) close() {
	c.s.Close()
	_ = c.http.Close()
}

func (c *client) get(paths ...string) (time.Duration, error) {
	began := time.Now()
	for _, path := range paths {
		reply, err := http.Get(c.at + path)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, reply.Body)
		reply.Body.Close()
		if err != nil || reply.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("cannot get %s: %s: %w", path, reply.Status, err)
		}
	}
	return time.Since(began), nil
}

func measure(dir string, s *store.Store, n int, name string, decode func() error, paths ...string) error {
	var first, again, alone []time.Duration
	for range n {
		c, err := serve(dir, s)
		if err != nil {
			return err
		}
		for k := range 2 {
			took, err := c.get(paths...)
			if err != nil {
				c.close()
				return err
			}
			if k == 0 {
				first = append(first, took)
			} else {
				again = append(again, took)
			}
		}
		c.close()
		began := time.Now()
		if err := decode(); err != nil {
			return err
		}
		alone = append(alone, time.Since(began))
	}
	f, a, d := rig.Median(first), rig.Median(again), rig.Median(alone)
	fmt.Printf("%-44s %7.1f ms %7.1f ms %7.1f ms   first/decoding %.2f\n", name, rig.Milliseconds(f), rig.Milliseconds(a), rig.Milliseconds(d), float64(f)/float64(d))
	return nil
}

func list(dir string, s *store.Store, n, incidents int) error {
	return measure(dir, s, n, fmt.Sprintf("list of %d incidents", incidents), func() error {
		ids, _, err := s.IDs()
		if err != nil {
			return err
		}
		for _, id := range ids {
			if _, err := s.Head(id); err != nil {
				return err
			}
		}
		return nil
	}, "incidents?limit=200")
}

func view(n, count int) error {
	dir, err := os.MkdirTemp("", "vigil-bench-browse-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	id, err := write(s, time.Now(), "large", "v2:large", goroutines(count, count/5))
	if err != nil {
		return err
	}
	return measure(dir, s, n, fmt.Sprintf("incident with %d goroutines, first view", count), func() error {
		text, err := os.ReadFile(filepath.Join(dir, id, snapshot.FileStacks))
		if err != nil {
			return err
		}
		var st snapshot.Stacks
		return json.Unmarshal(text, &st)
	}, "incidents/"+id, "incidents/"+id+"/stacks?limit=200")
}
