// Package counters reads the counters of a network namespace, proc_net(5). It is
// apart from the rest of the network so that a supervisor can take them when a
// service begins, and link nothing else.
package counters

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/snapshot"
)

// maxFile bounds the text files that are read.
const maxFile = 256 << 10

// Read reads those of the network namespace of a process. It costs two reads.
func Read(pid int) (c snapshot.Counters, err error) {
	for _, name := range []string{"snmp", "netstat"} {
		text, err := limited.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, name), maxFile)
		if err != nil {
			return c, fmt.Errorf("cannot read counters of the network: %w", err)
		}
		parse(string(text), &c)
	}
	return c, nil
}

// parse reads pairs of lines: names, then values.
func parse(text string, c *snapshot.Counters) {
	into := map[string]*uint64{
		"Tcp:InSegs": &c.InSegs, "Tcp:RetransSegs": &c.RetransSegs, "Tcp:InErrs": &c.InErrs, "Tcp:InCsumErrors": &c.InCsumErrors, "Tcp:OutRsts": &c.OutRsts,
		"Tcp:EstabResets": &c.EstabResets, "TcpExt:ListenOverflows": &c.ListenOverflows, "TcpExt:ListenDrops": &c.ListenDrops,
	}
	lines := strings.Split(text, "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		if len(names) == 0 || len(names) != len(values) || names[0] != values[0] {
			continue
		}
		for n := 1; n < len(names); n++ {
			if at := into[names[0]+names[n]]; at != nil {
				*at, _ = strconv.ParseUint(values[n], 10, 64)
			}
		}
	}
}

// Since are the counters since others.
func Since(a, b snapshot.Counters) snapshot.Counters {
	d := func(x, y uint64) uint64 { return x - min(x, y) }
	return snapshot.Counters{
		InSegs: d(a.InSegs, b.InSegs), RetransSegs: d(a.RetransSegs, b.RetransSegs), InErrs: d(a.InErrs, b.InErrs), InCsumErrors: d(a.InCsumErrors, b.InCsumErrors),
		OutRsts: d(a.OutRsts, b.OutRsts), EstabResets: d(a.EstabResets, b.EstabResets), ListenOverflows: d(a.ListenOverflows, b.ListenOverflows), ListenDrops: d(a.ListenDrops, b.ListenDrops),
	}
}
