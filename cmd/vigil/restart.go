package main

import "github.com/vigil-supervisor/vigil/control"

var restartAsk = verb{control.Restart, "Stop services and start them again", "they are ready"}
