package golang

// arenaOffset is not needed where addresses are not sign-extended.
const arenaOffset = 0
