// Command scheduler-store keeps a scheduler's state in a bucket. As a daemon
// (serve) it follows a store, campaigns for its leadership and answers over HTTP;
// its other subcommands load a store, look into it and check it.
//
// Each subcommand has a file of its own; command.go has what they share: flags and
// their environment variables, exit statuses, output.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signalled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	// Before anything is told of the first signal the system's own handling is back,
	// so a second one ends the process at once.
	context.AfterFunc(signalled, func() {
		stop()
		cancel()
	})
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
