package config

import (
	"fmt"
	"os/user"
	"strconv"
)

// Credentials looks up whom a service runs as. set is false when it runs as
// vigil does. A user without an entry may be given by number.
func Credentials(s Service) (uid, gid uint32, groups []uint32, set bool, home string, err error) {
	if s.User == "" && s.Group == "" && len(s.Groups) == 0 {
		return 0, 0, nil, false, "", nil
	}
	uid, gid, groups, home, err = credentialsOfUser(s.User)
	if err != nil {
		return 0, 0, nil, false, "", err
	}
	if s.Group != "" {
		if gid, err = groupID(s.Group); err != nil {
			return 0, 0, nil, false, "", err
		}
	}
	if len(s.Groups) > 0 {
		groups = groups[:0:0]
		for _, name := range s.Groups {
			id, err := groupID(name)
			if err != nil {
				return 0, 0, nil, false, "", err
			}
			groups = append(groups, id)
		}
	}
	return uid, gid, groups, true, home, nil
}

func credentialsOfUser(name string) (uid, gid uint32, groups []uint32, home string, err error) {
	var u *user.User
	if name == "" {
		u, err = user.Current()
	} else {
		u, err = lookupUser(name)
	}
	if err != nil {
		if n, perr := strconv.ParseUint(name, 10, 32); perr == nil {
			return uint32(n), uint32(n), nil, "/", nil
		}
		return 0, 0, nil, "", fmt.Errorf("user %q does not exist: create it, or name another", name)
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, 0, nil, "", fmt.Errorf("user %q has no numeric id: %w", name, err)
	}
	group, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return 0, 0, nil, "", fmt.Errorf("user %q has no numeric group: %w", name, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		ids = nil // a user database without groups: the own group is all there is
	}
	for _, g := range ids {
		if n, err := strconv.ParseUint(g, 10, 32); err == nil {
			groups = append(groups, uint32(n))
		}
	}
	return uint32(id), uint32(group), groups, u.HomeDir, nil
}

func lookupUser(name string) (*user.User, error) {
	if _, err := strconv.ParseUint(name, 10, 32); err == nil {
		return user.LookupId(name)
	}
	return user.Lookup(name)
}

func groupID(name string) (uint32, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("group %q does not exist: create it, or name another", name)
	}
	n, err := strconv.ParseUint(g.Gid, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("group %q has no numeric id: %w", name, err)
	}
	return uint32(n), nil
}
