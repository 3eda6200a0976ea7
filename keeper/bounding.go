package keeper

import (
	"sync"

	"golang.org/x/sys/unix"
)

// mayBound reports whether we may take capabilities away from what we start. In
// a container that took this right from us there is little left to take.
var mayBound = sync.OnceValue(func() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var now [2]unix.CapUserData
	if unix.Capget(&header, &now[0]) != nil {
		return false
	}
	return now[0].Effective&(1<<unix.CAP_SETPCAP) != 0
})
