package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// leaseView is the lease in JSON.
type leaseView struct {
	State   string                `json:"state"` // held, released, or absent: then the rest is not set
	Epoch   persistence.Epoch     `json:"epoch,omitzero"`
	Holder  *persistence.WriterID `json:"holder,omitzero"`
	Host    string                `json:"host,omitzero"`
	URL     string                `json:"url,omitzero"`
	TTLMs   int64                 `json:"ttlMs,omitzero"`
	Beat    uint64                `json:"beat,omitzero"`
	Renewed *time.Time            `json:"renewed,omitzero"`
	// Broken tells that an operator released it, not its holder.
	Broken bool `json:"broken,omitzero"`
}

func viewLease(s lease.State) *leaseView {
	v := &leaseView{State: "held", Epoch: s.Epoch, Holder: &s.Holder, Host: s.Host, URL: s.URL, TTLMs: s.TTL.Milliseconds(),
		Beat: s.Beat, Renewed: &s.Renewed, Broken: s.Breaker != persistence.WriterID{}}
	if s.Released {
		v.State = "released"
	}
	return v
}

func (c *command) leaseCommand() *cobra.Command {
	return c.group(&cobra.Command{
		Use:     "lease",
		Short:   "Look at the lease, which says who leads, or break it",
		Example: "  scheduler-store lease show",
	}, c.leaseShowCommand(), c.leaseBreakCommand())
}

// noLease is said where there is no lease.json. Who looks at that object alone can't tell
// which of the two it is.
const noLease = "nobody has led this store yet, or lease.json was deleted; whoever campaigns next makes it"

func (c *command) leaseShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Print who holds the lease",
		Long: `Print who holds the lease. That it is held does not mean that its holder is alive: a contender
takes it when it has seen no renewal for one TTL.`,
		Example: "  scheduler-store lease show --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := c.readLease(cmd.Context())
			switch {
			case errors.Is(err, bucket.ErrNotExist):
				return c.printLease(&leaseView{State: "absent"}, "there is no lease: "+noLease)
			case errors.Is(err, blob.ErrNoCell):
				return c.printLease(&leaseView{State: "absent"}, "there is no lease, and no store at that place")
			case err != nil:
				return err
			}
			return c.printLease(viewLease(state), "")
		},
	}
}

func (c *command) readLease(ctx context.Context) (lease.State, error) {
	b, err := c.openBucket(ctx)
	if err != nil {
		return lease.State{}, err
	}
	state, err := lease.Read(ctx, b)
	if err := errors.Join(err, b.Close()); err != nil {
		return lease.State{}, err
	}
	return state, nil
}

// printLease prints a lease; text is what is said of it before.
func (c *command) printLease(v *leaseView, text string) error {
	if c.output == jsonOutput {
		return c.printJSON(v)
	}
	if text != "" {
		fmt.Fprintln(c.stdout, text)
	}
	if v.State == "absent" {
		return nil
	}
	t := c.table()
	state := v.State
	if v.Broken {
		state += ", by an operator"
	}
	t.row("state", state)
	t.row("epoch", v.Epoch.String())
	t.row("holder", v.Holder.String())
	t.row("host", v.Host)
	t.row("url", v.URL)
	t.row("ttl", (time.Duration(v.TTLMs) * time.Millisecond).String())
	t.row("renewed", fmt.Sprintf("%s (%s ago by this host's clock)", timestamp(*v.Renewed), age(time.Since(*v.Renewed))))
	return t.flush()
}

func (c *command) leaseBreakCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "break",
		Short: "Mark the lease released, so that another process can lead at once",
		Long: `Mark the lease released, for when its holder is known to be gone and its TTL is too long to
wait for. No write is lost by it if the holder is alive after all, but until its next renewal
that may still answer reads as if it led.`,
		Example: "  scheduler-store lease break --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return usageErrorf("breaking the lease takes leadership from its holder; look with 'lease show', then give --yes")
			}
			return c.breakLease(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "really break it")
	return cmd
}

func (c *command) breakLease(ctx context.Context) error {
	b, err := c.openBucket(ctx)
	if err != nil {
		return err
	}
	before, err := lease.Read(ctx, b)
	var after lease.State
	if err == nil {
		after, err = lease.Break(ctx, b)
	}
	err = errors.Join(err, b.Close())
	switch {
	case errors.Is(err, bucket.ErrNotExist):
		return fmt.Errorf("there is no lease to break: %s: %w", noLease, err)
	case err != nil:
		return err
	case before.Released:
		return c.printLease(viewLease(after), "nothing was done: the lease was released already")
	}
	return c.printLease(viewLease(after), "the lease was broken: the next process that campaigns will lead")
}
