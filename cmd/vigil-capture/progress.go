package main

import (
	"encoding/json"
	"os"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// progress writes one JSON line per stage. A reader that has gone is no reason
// to stop: the files are what counts.
type progress struct{ to *os.File }

func (p progress) tell(stage, reason string, err error) {
	line := snapshot.Progress{Stage: stage, Reason: reason}
	if err != nil {
		line.Error = err.Error()
	}
	p.say(line)
}

func (p progress) say(line snapshot.Progress) {
	data, _ := json.Marshal(line) // strings and a number
	_, _ = p.to.Write(append(data, '\n'))
}
