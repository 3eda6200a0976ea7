package node

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/vigil-supervisor/vigil/internal/proctree"
)

// configuration is where the report goes to and what makes Node.js write it.
type configuration struct {
	signal    string // "": none
	directory string // as this process sees it
	filename  string // "": report.<date>.<time>.<pid>.<thread>.<seq>.json
}

const (
	defaultSignal  = "SIGUSR2" // of --report-signal (nodejs.org/api/cli.html, v20)
	maxCommandLine = 1 << 20
)

// readConfiguration reads NODE_OPTIONS, then the command line, which wins.
func readConfiguration(opt Options) configuration {
	var args []string
	if options, ok := proctree.Variable(opt.PID, "NODE_OPTIONS"); ok {
		args = splitOptions(options)
	}
	args = append(args, commandLine(opt.PID)...)
	conf := parseOptions(args)
	if opt.Signal != "" {
		conf.signal = opt.Signal
	}
	conf.directory = inside(opt.PID, conf.directory)
	return conf
}

// inside is a directory of the process as seen from here: through its root, which
// may be another, and relative to its working directory.
func inside(pid int, dir string) string {
	if strings.HasPrefix(dir, "/") {
		return fmt.Sprintf("/proc/%d/root%s", pid, dir)
	}
	return fmt.Sprintf("/proc/%d/cwd/%s", pid, dir)
}

// commandLine are the options before the script.
func commandLine(pid int) []string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCommandLine))
	if err != nil {
		return nil
	}
	var args []string
	for i, arg := range bytes.Split(text, []byte{0}) {
		if i > 0 {
			args = append(args, string(arg))
		}
	}
	return args
}

// splitOptions splits NODE_OPTIONS at blanks; double quotes keep them, and a
// backslash the next character.
func splitOptions(s string) []string {
	var list []string
	var word strings.Builder
	quoted, any := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\' && i+1 < len(s):
			i++
			word.WriteByte(s[i])
		case c == '"':
			quoted, any = !quoted, true
		case c == ' ' && !quoted:
			if any {
				list = append(list, word.String())
			}
			word.Reset()
			any = false
		default:
			word.WriteByte(c)
			any = true
		}
	}
	if any {
		list = append(list, word.String())
	}
	return list
}

// parseOptions reads the options of the report. Both "--a=b" and "--a b" are
// right, and underscores are as good as dashes.
func parseOptions(args []string) configuration {
	var conf configuration
	on, signal := false, defaultSignal
	for i := 0; i < len(args); i++ {
		name, value, has := strings.Cut(args[i], "=")
		if !strings.HasPrefix(name, "--") {
			continue
		}
		name = strings.ReplaceAll(name[2:], "_", "-")
		var to *string
		switch name {
		case "report-on-signal":
			on = true
		case "report-signal":
			to = &signal
		case "report-directory", "report-dir", "diagnostic-dir":
			to = &conf.directory
		case "report-filename":
			to = &conf.filename
		}
		if to == nil {
			continue
		}
		if !has && i+1 < len(args) {
			i++
			value = args[i]
		}
		*to = value
	}
	if on {
		conf.signal = signal
	}
	return conf
}
