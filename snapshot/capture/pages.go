package capture

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pageSize is that of the machine; the target has the same.
var pageSize = uint64(os.Getpagesize())

// span is a range of addresses.
type span struct{ start, end uint64 }

// pageScan is struct pm_scan_arg of linux/fs.h (Linux 6.7).
type pageScan struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages uint64
	inverted, mask, anyOf, returned                         uint64
}

// pageRegion is struct page_region of linux/fs.h.
type pageRegion struct{ start, end, categories uint64 }

const (
	pagemapScan = 0xC0606610 // PAGEMAP_SCAN
	pagePresent = 1 << 3     // PAGE_IS_PRESENT
	pageSwapped = 1 << 4     // PAGE_IS_SWAPPED
)

// pages finds which pages of a process hold anything.
type pages struct {
	file    *os.File // /proc/PID/pagemap, nil when it could not be opened
	ioctl   bool     // PAGEMAP_SCAN works
	regions []pageRegion
}

func openPages(pid int) *pages {
	file, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	if err != nil {
		file = nil
	}
	return &pages{file: file, ioctl: true, regions: make([]pageRegion, 512)}
}

func (p *pages) close() {
	if p.file != nil {
		_ = p.file.Close()
	}
}

// present returns the spans of m that are in memory or swapped out: by the
// ioctl, else by reading the page map, else all of m.
//
// A page of a file is not asked for: a copy made by fork(2) has none of them in its
// page table (copy_page_range, Linux 6.18), and reads them all the same.
func (p *pages) present(m mapping) []span {
	if m.isHead() {
		return []span{{m.start, m.end}}
	}
	if p.file != nil && p.ioctl {
		if list, err := p.scan(m); err == nil {
			return list
		}
		p.ioctl = false
	}
	if p.file != nil {
		if list, err := p.read(m); err == nil {
			return list
		}
	}
	return []span{{m.start, m.end}}
}

func (p *pages) scan(m mapping) ([]span, error) {
	var list []span
	arg := pageScan{start: m.start, end: m.end, anyOf: pagePresent | pageSwapped}
	arg.size = uint64(unsafe.Sizeof(arg))
	arg.vec = uint64(uintptr(unsafe.Pointer(&p.regions[0])))
	arg.vecLen = uint64(len(p.regions))
	arg.returned = pagePresent | pageSwapped
	for arg.start < m.end {
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, p.file.Fd(), pagemapScan, uintptr(unsafe.Pointer(&arg)))
		if errno != 0 {
			return nil, fmt.Errorf("cannot scan page map: %w", errno)
		}
		for _, r := range p.regions[:min(int(n), len(p.regions))] {
			list = appendSpan(list, span{max(r.start, m.start), min(r.end, m.end)})
		}
		if arg.walkEnd <= arg.start {
			break
		}
		arg.start = arg.walkEnd
	}
	return list, nil
}

// read uses the 64-bit words of /proc/PID/pagemap: bit 63 present, 62 swapped.
func (p *pages) read(m mapping) ([]span, error) {
	var list []span
	buf := make([]byte, 64<<10)
	for at := m.start; at < m.end; {
		want := min(uint64(len(buf)), (m.end-at)/pageSize*8)
		n, err := p.file.ReadAt(buf[:want], int64(at/pageSize*8))
		if n < 8 {
			return nil, fmt.Errorf("cannot read page map: %w", err)
		}
		for i := 0; i+8 <= n; i += 8 {
			if binary.NativeEndian.Uint64(buf[i:])>>62 != 0 {
				list = appendSpan(list, span{at, at + pageSize})
			}
			at += pageSize
		}
	}
	return list, nil
}

// appendSpan joins neighbours.
func appendSpan(list []span, s span) []span {
	if s.end <= s.start {
		return list
	}
	if n := len(list); n > 0 && list[n-1].end == s.start {
		list[n-1].end = s.end
		return list
	}
	return append(list, s)
}
