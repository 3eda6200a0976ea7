//go:build amd64 || arm64

package heartbeat

import "sync/atomic"

// store stores with release semantics, no more: the sequentially consistent
// store of sync/atomic is an XCHG on amd64, which alone takes longer than a beat
// may (5 ns).
//
//go:noescape
func store(p *atomic.Uint64, v uint64)
