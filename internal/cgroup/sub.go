package cgroup

// Make makes the group name below g, or takes it over if it exists, as
// Base.Make does.
func (g Group) Make(name string) (Group, error) { return Base{path: g.path}.Make(name) }
