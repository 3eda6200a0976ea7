// Command vigil keeps services up, knows whether they are really alive, and
// never lets them die without evidence. docs/cli.md has all its commands.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}
