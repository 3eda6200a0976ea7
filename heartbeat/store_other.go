//go:build !amd64 && !arm64

package heartbeat

import "sync/atomic"

func store(p *atomic.Uint64, v uint64) { p.Store(v) }
