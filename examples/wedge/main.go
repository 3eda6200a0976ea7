// Command wedge is a small bank that can be broken on purpose: it deadlocks,
// panics, leaks or exits when asked to over HTTP. It beats to its supervisor
// by sd_notify, and the beat comes from the work itself: a bank whose workers
// hang falls silent, however well its HTTP server answers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to serve HTTP on")
	addrFile := flag.String("addr-file", "", "file to write the address to")
	flag.Parse()
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	if err := run(*listen, *addrFile); err != nil {
		log.Fatalf("wedge: %v", err)
	}
}

func run(listen, addrFile string) error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()

	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	address := listener.Addr().String()
	fmt.Println(address)
	if err := writeAddress(addrFile, address); err != nil {
		return err
	}

	bank := openBank()
	server := &http.Server{Handler: routes(bank), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		beat(stop, bank)
	}()
	notify(daemon.SdNotifyReady + "\nSTATUS=serving on " + address)

	select {
	case err := <-served:
		return fmt.Errorf("cannot serve: %w", err)
	case <-stop.Done():
	}
	notify(daemon.SdNotifyStopping)
	log.Print("stopping")
	// Requests and rounds under way finish first. In a deadlocked bank the
	// round never does: then only a KILL helps.
	if err := server.Shutdown(context.Background()); err != nil {
		return fmt.Errorf("cannot shut down: %w", err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-beating
	bank.close()
	return nil
}

// writeAddress renames a complete file into place, so that nobody reads half.
func writeAddress(path, address string) error {
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path+".new", []byte(address+"\n"), 0o644); err != nil {
		return fmt.Errorf("cannot write address: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("cannot write address: %w", err)
	}
	return nil
}
