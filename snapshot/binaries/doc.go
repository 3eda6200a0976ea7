// Package binaries keeps the executables of services by their build ids, so that
// what was replaced or deleted on disk can still name the frames of a process
// that ran it.
//
// A kept executable is a reflink (FICLONE, ioctl_ficlone(2)) where the file system
// can, else a copy; a hard link only of a file that is too large to copy. A hard
// link follows whoever writes into the file: `mv new old` leaves its contents
// alone, `cp new old` replaces them. So does strip(1), which keeps the build id and
// throws the debug information away. Whatever is kept is identified again
// whenever it is asked for, and dropped when it is another build.
package binaries
