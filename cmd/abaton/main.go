// Command abaton is what people and operators type: it brings up a network on
// this machine, plays the devices of its sample people, imports records, gives
// and stops access, shows who looked, and checks keepers and ledgers from
// outside.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
