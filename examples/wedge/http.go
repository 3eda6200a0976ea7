package main

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
)

// maxLeak bounds one request to /leak.
const maxLeak = 1_000_000

func routes(b *bank) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		// It says so whatever the workers do. That is the point.
		_, _ = fmt.Fprintln(w, "imok")
	})
	mux.HandleFunc("/work", func(w http.ResponseWriter, _ *http.Request) {
		b.round()
		_, _ = fmt.Fprintf(w, "total %d\n", b.total())
	})
	mux.HandleFunc("/deadlock", func(w http.ResponseWriter, _ *http.Request) {
		b.deadlock()
		_, _ = fmt.Fprintln(w, "teller-1 and teller-2 wait for each other")
	})
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		b.crash()
		select {} // the answer is the end of the connection
	})
	mux.HandleFunc("/exit", func(w http.ResponseWriter, r *http.Request) {
		if code, ok := number(w, r, "code", 0, 255); ok {
			os.Exit(code)
		}
	})
	mux.HandleFunc("/leak", func(w http.ResponseWriter, r *http.Request) {
		if n, ok := number(w, r, "goroutines", 1000, maxLeak); ok {
			leak(n)
			_, _ = fmt.Fprintf(w, "%d goroutines now\n", runtime.NumGoroutine())
		}
	})
	return mux
}

// number reads a parameter from 0 to limit; it answers the request if it
// cannot.
func number(w http.ResponseWriter, r *http.Request, name string, fallback, limit int) (int, bool) {
	text := r.FormValue(name)
	if text == "" {
		return fallback, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > limit {
		http.Error(w, fmt.Sprintf("%s must be a number from 0 to %d", name, limit), http.StatusBadRequest)
		return 0, false
	}
	return n, true
}
