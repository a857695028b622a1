// Command abaton-authority lends half A of emergency sets: to a clinician whose
// opening three keepers have ledgered, never to anybody else. It holds no
// record, no share and no state besides its keys, and it never sees half B.
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
