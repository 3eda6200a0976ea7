// Package zookeeper is a test: a real ZooKeeper under the real vigil, with the
// configurations of examples/zookeeper, and the ways in which it dies.
package zookeeper
