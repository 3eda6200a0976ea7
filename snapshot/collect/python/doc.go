// Package python reads the stacks of a CPython program in the words of Python.
//
// CPython can print the stacks of all its threads itself, by its module
// faulthandler, on a signal that the program registered, or when it is aborted.
// Nobody can see from outside which signal that is: it is configured. Without
// it the machine frames are taken, which show where the interpreter is, not
// where the program is.
package python
