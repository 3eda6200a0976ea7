package golang

// arenaOffset makes the index of an arena positive, runtime/malloc.go.
const arenaOffset = 0x800000000000
