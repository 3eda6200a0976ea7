package config

import (
	"os"
)

// Check finds what is wrong on this machine: users, directories and programs
// that do not exist. `vigil up` starts all the same, since they may come.
func (c *Config) Check() Errors {
	d := decoder{}
	for i := range c.Services {
		c.Services[i].checkHere(&d)
	}
	return d.sorted(c.Files)
}

func (s *Service) checkHere(d *decoder) {
	if s.Directory != "" {
		info, err := os.Stat(s.Directory)
		switch {
		case err != nil:
			d.fail(s.seen.place("directory"), "directory %q: %v", s.Directory, unwrapPath(err))
		case !info.IsDir():
			d.fail(s.seen.place("directory"), "%q is not a directory", s.Directory)
		}
	}
	if _, err := Resolve(*s); err != nil {
		d.fail(s.seen.place("command"), "%v", err)
	}
	uid, gid, _, set, _, err := Credentials(*s)
	key := "user"
	switch {
	case s.User != "":
	case s.Group != "":
		key = "group"
	default:
		key = "groups"
	}
	switch {
	case err != nil:
		d.fail(s.seen.place(key), "%v", err)
	case set && !mayBecome(uid, gid, uint32(os.Geteuid()), uint32(os.Getegid())):
		d.fail(s.seen.place(key), "service %q cannot run as another user or group: start vigil as root, or drop the key", s.Name)
	}
}

// mayBecome reports whether a process of user and group euid and egid can start
// one of uid and gid: root can, everybody else only as what it is.
func mayBecome(uid, gid, euid, egid uint32) bool {
	return euid == 0 || uid == euid && gid == egid
}
