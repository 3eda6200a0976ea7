package main

import (
	"errors"
	"io"

	"github.com/vigil-supervisor/vigil/supervisor/config"
)

func loadConfig(files []string) (*config.Config, error) { return nil, errors.New("stub") }

func (f *runFlags) commandConfig(name string, command []string) (*config.Config, error) {
	return nil, errors.New("stub")
}

func writePlan(w io.Writer, c *config.Config) error { return nil }
