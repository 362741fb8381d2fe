package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/spf13/pflag"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/lease"
)

// leaderFlags are those of a command that only the leader can carry out: the daemon that
// holds the lease is asked to do it; if nobody holds it, the command leads for the time
// being, and does it itself.
type leaderFlags struct {
	client
	leaseTTL time.Duration
	tiers    tierConfig
}

func (l *leaderFlags) addFlags(flags *pflag.FlagSet) {
	l.client.addFlagsFor("server", flags)
	flags.StringVar(&l.server, l.flag, "", "`URL` of the daemon that leads (default: what the lease says)")
	flags.DurationVar(&l.leaseTTL, "lease-ttl", 15*time.Second, "how long others wait before they take over, if this process leads and dies")
	l.tiers.addFlag(flags)
}

func (l *leaderFlags) check() error {
	if err := (lease.Options{TTL: l.leaseTTL}).Check(); err != nil {
		return usageErrorf("--lease-ttl: %w", err)
	}
	return nil
}

// leadingHelp is what such a command says of itself.
const leadingHelp = `If a daemon leads the store it is asked to do this, at the URL that the lease names. If nobody
leads, this command does, for the time being.`

// byLeader has ask ask the daemon that leads, if there is one. If nobody leads it calls
// alone, which mostly leads for the time being; see asLeader. It makes no store where
// there is none.
func (c *command) byLeader(ctx context.Context, l *leaderFlags, ask func(*client) error, alone func() error) error {
	if l.server != "" {
		return ask(&l.client)
	}
	holder, err := c.leader(ctx)
	if err != nil {
		return err
	}
	if holder == nil {
		return alone()
	}
	if l.server, err = l.urlOf(holder); err != nil {
		return err
	}
	if err := ask(&l.client); err != nil {
		return fmt.Errorf("%w; the lease says that %s leads, at %s", err, printable(holder.Host), printable(holder.URL))
	}
	return nil
}

// leader is what the lease says of who holds it; nil if nobody does.
func (c *command) leader(ctx context.Context) (_ *lease.State, err error) {
	log, err := c.openLog(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Bucket().Close()) }()
	state, err := lease.Read(ctx, log.Bucket())
	switch {
	case errors.Is(err, bucket.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case state.Released:
		return nil, nil
	}
	return &state, nil
}

// urlOf is where the holder of the lease can be asked. What the lease says is not
// trusted with a token in the clear.
func (l *leaderFlags) urlOf(holder *lease.State) (string, error) {
	who := fmt.Sprintf("%s holds the lease, epoch %d", printable(holder.Host), holder.Epoch)
	if holder.URL == "" {
		return "", fmt.Errorf("%s, and says no URL at which it could be asked: wait until it has ended, or give that as --%s; if it is gone for good, 'lease break' frees the lease", who, l.flag)
	}
	u, err := url.Parse(holder.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%s, and what it says is its URL is none: %.200q; give the right one as --%s", who, holder.URL, l.flag)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && l.tokenFile != "" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", fmt.Errorf("%s, at %s, where the token would be sent in the clear; give that as --%s if it is right", who, printable(holder.URL), l.flag)
	}
	return holder.URL, nil
}

// asLeader leads while do runs. It waits for the lease for so long, or, with 0, for as
// long as it takes.
func (c *command) asLeader(ctx context.Context, leaseTTL, wait time.Duration, from *tierConfig, do func(*schedulerstore.Store) error) (err error) {
	storeURL, err := c.storeURL()
	if err != nil {
		return err
	}
	tiers, err := from.load()
	if err != nil {
		return err
	}
	options, err := c.leaderOptions(ctx, leaseTTL, tiers)
	if err != nil {
		return err
	}
	store, err := schedulerstore.Open(ctx, storeURL, options)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, store.Close(closing))
	}()
	if err := c.lead(ctx, store, wait); err != nil {
		return err
	}
	return do(store)
}
