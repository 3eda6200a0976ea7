//go:build !vigilfault

package supervisor

// fault is where a build with the tag vigilfault breaks the loop. This is not one.
func (s *Supervisor) fault() {}
