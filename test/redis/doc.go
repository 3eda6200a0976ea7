// Package redis is a test: a real Redis under the real vigil, with the
// configuration of examples/redis, and the ways in which it hangs.
package redis
