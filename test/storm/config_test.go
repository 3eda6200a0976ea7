package storm

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// configuration is the services of a file with their marks: text in their
// environment by which one sees what an instance was started with.
type configuration map[string]string

// Services that play a part of their own.
const (
	still  = "still"  // nobody touches it: it keeps its pid, and no line is lost
	full   = "full"   // the same, with its log on the file system that runs full
	victim = "victim" // it is killed again and again
	marked = "marked" // its mark says which configuration was read last
)

// initial are the services that are always there.
func initial() configuration {
	return configuration{still: "0", full: "0", victim: "0", marked: "0"}
}

// with returns a configuration with one more, or changed, service.
func (c configuration) with(service, mark string) configuration {
	c = maps.Clone(c)
	c[service] = mark
	return c
}

func (c configuration) text(v *vigil) string {
	own, err := os.Executable()
	if err != nil {
		v.t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "[service.%s]\ncommand = [%q, %q, %q]\n", name, own, v.path("services"), name)
		fmt.Fprintf(&b, "environment = { %s = %q, %s = %q, GORACE = \"atexit_sleep_ms=0\" }\n", roleEnv, roleService, markEnv, c[name])
		b.WriteString("stop_timeout = \"10s\"\ncapture = { core_limit = 0 }\n")
		fmt.Fprintf(&b, "restart = { backoff = { min = \"20ms\", max = \"100ms\" }, limit = { starts = 1000, within = \"1s\" } }\n")
		if name == full {
			b.WriteString("log = { max_size = \"64KiB\", keep = 2 }\n\n")
			continue
		}
		fmt.Fprintf(&b, "log = { directory = %q, max_size = \"64MiB\", keep = 1 }\n\n", v.path("log"))
	}
	return b.String()
}

// broken are configurations that must change nothing.
var broken = []string{
	"[service.x\n",
	"[service.x]\ncommand = [\"/bin/true\"]\nno_such_key = 1\n",
	"[service.x]\n",
	"\x00\xff",
	"[service.x]\ncommand = [\"/bin/true\"]\nstop_timeout = \"-1s\"\n",
}
