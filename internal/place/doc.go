// Package place says where a vigil of a given name keeps what it needs: the
// runtime directory, with its lock and sockets, and the state directory, with
// incidents and logs.
//
//	            root                    another user
//	runtime     /run/vigil/NAME         $XDG_RUNTIME_DIR/vigil/NAME, else /tmp/vigil-UID/NAME
//	state       /var/lib/vigil/NAME     $XDG_STATE_HOME/vigil/NAME, else ~/.local/state/vigil/NAME
//
// A directory that is given by flag or by VIGIL_RUNTIME_DIR, VIGIL_STATE_DIR
// is used as it is, without NAME.
package place
