package main

import "github.com/vigil-supervisor/vigil/control"

var startAsk = verb{control.Start, "Start services", "they are ready"}
