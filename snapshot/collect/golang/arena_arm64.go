package golang

// arenaOffset is not needed where addresses are not sign-extended.
const arenaOffset = 0

// quantum is how far behind its function's entry runtime.goexit is returned to,
// PCQuantum of internal/runtime/sys.
const quantum = 4
