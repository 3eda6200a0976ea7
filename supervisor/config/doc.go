// Package config reads vigil's configuration: TOML files in, one immutable
// Config or a list of errors with their places out.
//
// One table of keys (row.go says what a row is, keys.go and tables.go hold
// them) drives everything that knows the names: the decoder, the suggestions
// for mistyped keys, the reference docs/configuration.md and the JSON Schema
// docs/vigil.schema.json. Tests compare the last two and the defaults with the
// table; `go test ./supervisor/config -update` writes the files.
//
// Reading is strict: an unknown key, a wrong type or a value out of range is
// an error, and so is a key whose feature this version does not have. Errors
// are collected, so that one run shows them all (MaxErrors at most).
//
// Load looks at nothing but the files. What depends on the machine (users,
// directories, commands) is asked separately by Check, because a
// configuration may be written on another machine than the one it is for.
package config
