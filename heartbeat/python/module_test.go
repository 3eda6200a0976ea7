// Package python has the module for Python; its tests run it.
package python

import (
	"testing"

	"github.com/vigil-supervisor/vigil/heartbeat/clienttest"
)

func TestModule(t *testing.T) {
	clienttest.Sources(t, ".")
	t.Setenv("PYTHONPATH", ".")
	t.Setenv("PYTHONDONTWRITEBYTECODE", "1")
	python := clienttest.Need(t, "python3", "python3")
	clienttest.Client{python, "-W", "error", "testdata/client.py"}.Check(t, true)
}
