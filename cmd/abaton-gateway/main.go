// Command abaton-gateway serves FHIR R4 at a clinic, over records that are
// sealed here and spread over independent keepers. People sign in from their
// own devices; what they lend it stays in memory until their session ends.
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
