package spawn

import (
	"golang.org/x/sys/unix"
)

// descriptors are the sources of the child's descriptors 0, 1, 2 and on, each
// with a number above all of its targets: so no move overwrites a source, and
// dup3, which refuses equal numbers, always clears close-on-exec.
type descriptors struct {
	source []int
	opened []int
	null   int
}

// openDescriptors collects them. The caller closes the result, also after an
// error.
func openDescriptors(spec *Spec) (*descriptors, error) {
	d := &descriptors{null: -1}
	first := 3 + len(spec.Extra)
	for _, fd := range []int{spec.Stdin, spec.Stdout, spec.Stderr} {
		if err := d.add(fd, first); err != nil {
			return d, err
		}
	}
	for _, fd := range spec.Extra {
		if fd < 0 {
			return d, unix.EBADF
		}
		if err := d.add(fd, first); err != nil {
			return d, err
		}
	}
	return d, nil
}

// add appends fd, or /dev/null for -1, moved to first or above if need be.
func (d *descriptors) add(fd, first int) error {
	if fd < 0 {
		if d.null < 0 {
			null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			d.opened = append(d.opened, null)
			d.null = null
		}
		fd = d.null
	}
	if fd < first {
		high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, first)
		if err != nil {
			return err
		}
		d.opened = append(d.opened, high)
		fd = high
	}
	d.source = append(d.source, fd)
	return nil
}

// close closes what openDescriptors opened.
func (d *descriptors) close() {
	for _, fd := range d.opened {
		// Nothing was written through these duplicates.
		_ = unix.Close(fd)
	}
}
