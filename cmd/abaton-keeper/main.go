// Command abaton-keeper is one keeper: it keeps a piece of every record it is
// handed, checks each request by itself, writes it to its ledger and only then
// answers. It cannot open a record and links no code that could.
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
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
