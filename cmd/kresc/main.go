// Command kresc gives commands to running kresd workers over their control sockets, and
// shows their figures.
package main

import (
	"os"

	"kresd/internal/kresc"
)

func main() {
	os.Exit(kresc.Run(os.Args[1:], kresc.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
