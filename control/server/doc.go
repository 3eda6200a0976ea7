// Package server answers the control API of package control on a unix socket.
//
// Who may talk to it: root and the user that runs it, by SO_PEERCRED of every
// connection (the mode of the socket keeps others out already). What it costs
// is bounded: connections, requests at a time, the size of a request, and the
// time that a client may take to send one. A client that does not read what it
// asked for holds only its own connection: the backend drops for it.
package server
