package main

import "github.com/vigil-supervisor/vigil/control"

var stopAsk = verb{control.Stop, "Stop services, with all their processes, after those that require them", "the last process of each is gone"}
