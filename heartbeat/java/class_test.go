// Package java has the class for Java; its tests compile and run it.
package java

import (
	"os/exec"
	"testing"

	"github.com/vigil-supervisor/vigil/heartbeat/clienttest"
)

func TestClass(t *testing.T) {
	clienttest.Sources(t, ".")
	const debian = "default-jdk-headless"
	javac := clienttest.Need(t, "javac", debian)
	java := clienttest.Need(t, "java", debian)
	dir := t.TempDir()
	cmd := exec.Command(javac, "--release", "11", "-Xlint:all,-try", "-Werror", "-encoding", "UTF-8", "-d", dir, "vigil/Heartbeat.java", "testdata/Client.java")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	clienttest.Client{java, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", dir, "Client"}.Check(t, false)
}
