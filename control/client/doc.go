// Package client talks to a running vigil through its control socket.
package client
