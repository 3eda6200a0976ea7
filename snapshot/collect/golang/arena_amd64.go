package golang

// arenaOffset makes the index of an arena positive, runtime/malloc.go.
const arenaOffset = 0x800000000000

// quantum is how far behind its function's entry runtime.goexit is returned to,
// PCQuantum of internal/runtime/sys.
const quantum = 1
