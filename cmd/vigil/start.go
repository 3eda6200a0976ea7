package main

import "github.com/vigil-supervisor/vigil/control"

var startAsk = verb{control.Start, "Start services, and those that they require", "they are ready"}
