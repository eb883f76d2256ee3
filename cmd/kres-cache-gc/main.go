// Command kres-cache-gc makes room in a cache of kresd.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"kresd/internal/cachegc"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	os.Exit(cachegc.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
