// Package config reads vigil's configuration: TOML files in, one immutable
// Config or a list of errors with their places out.
//
// One table of keys (keys.go) drives everything that knows the names: the
// decoder, the suggestions for mistyped keys, and the reference
// docs/configuration.md, which a test compares with the table;
// `go test ./supervisor/config -update` writes it.
//
// Reading is strict: an unknown key, a wrong type or a value out of range is
// an error, and so is a key whose feature this version does not have. Errors
// are collected, so that one run shows them all (MaxErrors at most).
//
// Load looks at nothing but the files. What depends on the machine (users,
// directories, commands) is asked separately by Check, because a
// configuration may be written on another machine than the one it is for.
package config
