// Package gimli tests a real vigil with programs that speak the protocol of
// libgimli: a C program that was written from its description (docs/gimli.md), a
// shell script, and a shell that waits for the program. It has no code of its
// own.
package gimli
