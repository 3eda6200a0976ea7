package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// beat works a round and then tells the supervisor that it did, twice as often
// as it must. Without a watchdog it still works once a second.
func beat(stop context.Context, b *bank) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Printf("no heartbeat: %v", err)
	}
	period := time.Second
	if limit > 0 {
		period = limit / 2
	}
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for rounds := 1; ; rounds++ {
		b.round() // hangs if a worker does: then there is no beat
		if limit > 0 {
			notify(fmt.Sprintf("%s\nSTATUS=%d rounds, total %d", daemon.SdNotifyWatchdog, rounds, b.total()))
		}
		select {
		case <-ticker.C:
		case <-stop.Done():
			return
		}
	}
}

// notify tells the supervisor, if there is one.
func notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Printf("cannot notify the supervisor: %v", err)
	}
}
