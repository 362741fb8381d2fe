package main

import (
	"context"
	"errors"
	"time"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// atHelp says how places in the history are written.
const atHelp = `AT is a position (17), a transaction (transaction:41), a time (2026-11-02T15:04:05Z, or 15:04
or 15:04:05 of today, UTC), an age (90m, 2h30m, 7d), or now. A time means the state before the
first entry that is later, by the clocks of those who led.`

// atFlag is the value of a flag such as --at.
type atFlag struct {
	text  string
	until blob.Until
}

func (a *atFlag) String() string { return a.text }
func (a *atFlag) Type() string   { return "AT" }

func (a *atFlag) Set(text string) (err error) {
	a.text = text
	a.until, err = blob.ParseUntil(text, time.Now())
	return err
}

func (a *atFlag) given() bool { return a.text != "" }

// absolute is the same place as text, whatever the time and the clock of who reads it.
func (a *atFlag) absolute() string {
	if t := a.until.Time; !t.IsZero() {
		return t.UTC().Format(time.RFC3339Nano)
	}
	return a.text
}

// recoverPast reads the state as of a place in the history, with no request that writes.
func (c *command) recoverPast(ctx context.Context, until blob.Until) (*recovered, error) {
	log, err := c.openLog(ctx)
	if err != nil {
		return nil, err
	}
	state, err := c.past(ctx, log, until)
	if err := errors.Join(err, log.Bucket().Close()); err != nil {
		return nil, err
	}
	return state, nil
}

func (c *command) past(ctx context.Context, log *blob.Log, until blob.Until) (*recovered, error) {
	stores := durability.New(durability.Options{})
	progress := c.newProgress(-1, "recovering entries")
	defer progress.clear()
	at, err := log.Past(ctx, stores, until, progress.recovery)
	if err != nil {
		return nil, err
	}
	return &recovered{stores.View(), at, stores.Checkpoint()}, nil
}
