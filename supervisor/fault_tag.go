//go:build vigilfault

package supervisor

import (
	"os"
	"path/filepath"
)

// fault wedges the loop for ever once there is a file "wedge" in the state
// directory. Only tests build with the tag vigilfault.
func (s *Supervisor) fault() {
	if os.Remove(filepath.Join(s.opt.StateDir, "wedge")) == nil {
		<-make(chan struct{})
	}
}
