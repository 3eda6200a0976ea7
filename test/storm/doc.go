// Package storm is a test: the real vigil under everything at once, at random,
// for a bounded time. See docs/storm.md. It needs root: the state directory is
// a small file system that is filled and freed.
package storm
