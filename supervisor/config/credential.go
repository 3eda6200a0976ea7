package config

import (
	"errors"
	"fmt"
	"math"
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
		if n, ok := number(name); ok {
			return n, n, nil, "/", nil
		}
		if name == "" {
			return 0, 0, nil, "", fmt.Errorf("cannot look up vigil's own user, which a service with a group needs: %w", err)
		}
		var unknown user.UnknownUserError
		if errors.As(err, &unknown) {
			return 0, 0, nil, "", fmt.Errorf("user %q does not exist: create it, or name another", name)
		}
		return 0, 0, nil, "", fmt.Errorf("cannot look up user %q: %w", name, err)
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

// number reads the number of a user or group. 2^32-1 is none: to the kernel it
// means "leave it as it is", which would be root's (setresuid(2)).
func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n != math.MaxUint32
}

func lookupUser(name string) (*user.User, error) {
	if _, ok := number(name); ok {
		return user.LookupId(name)
	}
	return user.Lookup(name)
}

func groupID(name string) (uint32, error) {
	if n, ok := number(name); ok {
		return n, nil
	}
	g, err := user.LookupGroup(name)
	var unknown user.UnknownGroupError
	switch {
	case errors.As(err, &unknown):
		return 0, fmt.Errorf("group %q does not exist: create it, or name another", name)
	case err != nil:
		return 0, fmt.Errorf("cannot look up group %q: %w", name, err)
	}
	n, err := strconv.ParseUint(g.Gid, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("group %q has no numeric id: %w", name, err)
	}
	return uint32(n), nil
}
