package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/server"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// drainTimeout is how long requests under way may take when the daemon ends.
const drainTimeout = 5 * time.Second

// serveFlags are serve's flags.
type serveFlags struct {
	listen, advertise, host string
	leaseTTL                time.Duration
	snapshots               snapshot.Schedule
	retention               retentionFlags
	gcEvery                 time.Duration
	backups                 backup.Schedule
	backupPlace             backupPlace
	rehearse                time.Duration
	history                 schedulerstore.History
	log                     blob.Options
	tiers                   tierConfig
	access                  access
}

// To the store 0 is a default; these are what it is to the flags.
const (
	never = -1 // an interval at which nothing is done
	none  = -1 // a number of which nothing is kept
)

// check checks the flags, and makes a 0 what it is to the store.
func (f *serveFlags) check() error {
	if f.snapshots.Every <= 0 || f.snapshots.Replay <= 0 {
		return usageErrorf("--snapshot-every and --replay-target must be more than 0")
	}
	if f.backups.Every < 0 || f.history.Every < 0 || f.gcEvery < 0 {
		return usageErrorf("--backup-every, --history-every and --gc-every can't be negative; 0 is never")
	}
	if err := f.retention.check(); err != nil {
		return err
	}
	if f.backups.Keep < 1 || f.history.OlderThan <= 0 {
		return usageErrorf("--backup-keep and --history-older-than must be more than 0")
	}
	if f.rehearse < 0 {
		return usageErrorf("--rehearse can't be negative; 0 is never")
	}
	if f.history.PerJob < 0 {
		return usageErrorf("--history-per-job can't be negative; 0 keeps none")
	}
	if err := (lease.Options{TTL: f.leaseTTL}).Check(); err != nil {
		return usageErrorf("--lease-ttl: %w", err)
	}
	if f.log.Linger < 0 || !(f.log.MaxPutsPerSecond >= 0) {
		return usageErrorf("--linger and --max-puts can't be negative")
	}
	if f.backupPlace != "" {
		if _, err := f.backupPlace.url(); err != nil {
			return err
		}
	}
	if f.backups.Every == 0 {
		f.backups.Every = never
	}
	if f.history.Every == 0 {
		f.history.Every = never
	}
	if f.gcEvery == 0 {
		f.gcEvery = never
	}
	if f.history.PerJob == 0 {
		f.history.PerJob = none
	}
	return nil
}

func (c *command) serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon: follow, campaign, lead, answer over HTTP",
		Long: `Run the daemon. It follows the store and answers reads, campaigns for leadership, and as the
leader takes writes. Any number of daemons may serve one store; when the leader ends or hangs,
another takes over.

On SIGTERM it stops listening, makes durable what it has taken, releases the lease, so that
another can lead at once, and ends with status 0. A second signal ends it at once.

Those that wait for their turn ask the leader, at the URL that it advertises, to be told when it
lets the lease go. Over TLS they trust the system's authorities and the certificates in the file
of --tls-cert, and show their own certificate if one is wanted. Where the leader can't be
reached that way they find out by themselves, a second later.

It listens on loopback only, unless there are tokens or client certificates, or it is told
with --insecure-listen that everybody who reaches it may do everything.`,
		Example: `  scheduler-store serve
  scheduler-store serve --store s3://bucket/cells/prod?region=us-east-1 \
    --listen 0.0.0.0:8410 --advertise https://host1.example.com:8410 \
    --tls-cert tls.crt --tls-key tls.key --token-file tokens`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return c.serve(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8410", "`address` to listen on")
	flags.StringVar(&f.advertise, "advertise", "", "`URL` by which others reach this process once it leads (default: that of --listen)")
	flags.StringVar(&f.host, "host", "", "`name` of this host for people (default: what the system says)")
	flags.DurationVar(&f.leaseTTL, "lease-ttl", 15*time.Second, "how long a leader may hang before another takes over, 3s to 1h")
	flags.DurationVar(&f.snapshots.Every, "snapshot-every", time.Hour, "`time` between two snapshots (Aurora: -dlog_snapshot_interval)")
	flags.DurationVar(&f.snapshots.Replay, "replay-target", 10*time.Second, "`time` that reading the log may take a recovery; at half of it, by estimate, a snapshot is made in any case")
	flags.DurationVar(&f.gcEvery, "gc-every", time.Hour, "`time` between two collections of garbage, if there is any; 0 is never")
	f.retention.addFlags(flags)
	flags.DurationVar(&f.backups.Every, "backup-every", time.Hour, "`time` between two backups that are made by themselves; 0 is never (Aurora: -backup_interval)")
	flags.IntVar(&f.backups.Keep, "backup-keep", 48, "backups `N` of those that are kept (Aurora: -max_saved_backups)")
	flags.StringVar((*string)(&f.backupPlace), "backups", "", backupsHelp+" (Aurora: -backup_dir)")
	flags.DurationVar(&f.rehearse, "rehearse", 24*time.Hour, "`time` between two rehearsed restores, which recover the state from the store and compare it with this process's; 0 is never; each reads the newest snapshot and the log after it, and holds a second state in memory for that time, which shares with the first what is equal in the tasks")
	flags.DurationVar(&f.history.Every, "history-every", 15*time.Minute, "`time` between two removals of old job updates; 0 is never (Aurora: -job_update_history_pruning_interval)")
	flags.DurationVar(&f.history.OlderThan, "history-older-than", 30*24*time.Hour, "`age` from which a job update that has ended is removed in any case (Aurora: -job_update_history_pruning_threshold)")
	flags.IntVar(&f.history.PerJob, "history-per-job", 10, "job updates `N` that have ended of which a job keeps the newest; 0 keeps none (Aurora: -job_update_history_per_job_threshold)")
	flags.DurationVar(&f.log.Linger, "linger", 0, "`time` that a write waits for others to share its PUT: cheaper and slower")
	flags.Float64Var(&f.log.MaxPutsPerSecond, "max-puts", 0, "most PUTs `N` of log entries in a second, which caps what they cost; 0 is no cap")
	flags.TextVar(&f.log.Hedge, "hedge", bucket.HedgeAuto, "when a PUT or GET of a log entry is slow, send it once more on a new connection: `mode` auto (on for S3 and servers like it, off for gs, which limits the changes of one object, and others), on or off; at most one in 20 is paid for twice")
	f.tiers.addFlag(flags)
	f.access.addFlags(flags)
	return cmd
}

// daemon is one run of serve.
type daemon struct {
	logger *slog.Logger
	store  *schedulerstore.Store
	http   *http.Server
	peers  *http.Client // reaches the other daemons
}

func (c *command) serve(ctx context.Context, f serveFlags) (err error) {
	storeURL, err := c.storeURL()
	if err != nil {
		return err
	}
	tiers, err := f.tiers.load()
	if err != nil {
		return err
	}
	settings, err := f.access.load()
	if err != nil {
		return err
	}
	listener, err := f.access.listen(f.listen)
	if err != nil {
		return err
	}
	defer listener.Close() // twice is harmless
	own := ownURL(listener.Addr(), f.host, settings.tls != nil)
	if f.advertise == "" {
		f.advertise = own
	} else if err := checkAdvertised(f.advertise); err != nil {
		return err
	}

	d := &daemon{logger: c.logger(slog.LevelInfo), peers: settings.client()}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	options := schedulerstore.Options{Lease: lease.Options{TTL: f.leaseTTL, Host: f.host, URL: f.advertise}, Snapshots: f.snapshots, Retention: f.retention.retention(), GarbageEvery: f.gcEvery,
		Backups: f.backups, Rehearse: f.rehearse, History: f.history, Tiers: tiers, Log: f.log, Logger: d.logger, Registerer: registry}
	traces, sendTraces, err := tracing(ctx, d.logger, f.host)
	if err != nil {
		return err
	}
	defer sendTraces()
	options.TracerProvider = traces
	if options.Key, err = c.openKey(ctx); err != nil {
		return err
	}
	if f.backupPlace != "" {
		if options.BackupBucket, err = f.backupPlace.open(ctx, bucketurl.Options{Registerer: registry, Unchecked: true}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, options.BackupBucket.Close()) }() // after the store
	}
	d.store, err = schedulerstore.Open(ctx, storeURL, options)
	if err != nil {
		return err
	}
	d.http = server.HTTPServer(server.New(d.store, server.Options{URL: f.advertise, Tokens: settings.tokens,
		Logger: d.logger, Registerer: registry, Gatherer: registry}))
	d.http.TLSConfig = settings.tls
	d.http.ErrorLog = slog.NewLogLogger(d.logger.Handler(), slog.LevelDebug) // what clients do wrong
	if settings.plainTokens {
		d.logger.Warn("tokens are sent over plain HTTP: anybody on the way can read them; --tls-cert and --tls-key help")
	}
	if err := c.printListening(own); err != nil {
		return errors.Join(err, d.store.Close(ctx))
	}
	if options.BackupBucket != nil {
		defer d.lookAtBackups(ctx)()
	}
	return d.run(ctx, listener)
}

// lookAtBackups says, if the place of the backups can't be used, that there will be
// none. A daemon is of use without. The function that it returns ends it.
func (d *daemon) lookAtBackups(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		if _, err := d.store.Backups().List(ctx); err != nil && ctx.Err() == nil {
			d.logger.Error("backups can't be made until --backups can be used", "error", err)
		}
	}()
	return func() {
		cancel()
		<-looked
	}
}

func (c *command) printListening(own string) error {
	if c.output == jsonOutput {
		_, err := fmt.Fprintf(c.stdout, "{\"listening\":%q}\n", own)
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "listening on %s\n", own)
	return err
}

// run serves, campaigns and stands by until ctx ends, or HTTP fails.
func (d *daemon) run(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	campaigned := make(chan struct{})
	go func() {
		defer close(campaigned)
		d.campaign(ctx)
	}()
	stoodBy := make(chan struct{})
	go func() {
		defer close(stoodBy)
		server.Standby{Store: d.store, Client: d.peers, Logger: d.logger}.Run(ctx)
	}()
	served := make(chan error, 1)
	go func() {
		if d.http.TLSConfig != nil {
			served <- d.http.ServeTLS(listener, "", "")
		} else {
			served <- d.http.Serve(listener)
		}
	}()

	var failed error
	select {
	case <-ctx.Done():
		d.logger.Info("shutting down")
	case failed = <-served:
		failed = fmt.Errorf("serve HTTP: %w", failed)
	}
	cancel()
	err := d.shutDown()
	<-campaigned
	<-stoodBy
	return errors.Join(failed, err)
}

// shutDown hands leadership over first: the next leader need not wait for this
// one's clients. Writes under way become durable and are answered, and then those
// standbys that wait to be told.
func (d *daemon) shutDown() error {
	drained := make(chan struct{})
	go func() { // stops listening at once
		defer close(drained)
		ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		if err := d.http.Shutdown(ctx); err != nil {
			d.logger.Warn("requests were cut off", "error", err)
			_ = d.http.Close() // nothing can be done about connections that won't close
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := d.store.Close(ctx)
	<-drained
	d.logger.Info("ended")
	return err
}

// How long the daemon waits before it campaigns again after an error.
const (
	minCampaignPause = time.Second
	maxCampaignPause = 30 * time.Second
)

// campaign leads whenever it can. No error ends it: a daemon that can't lead can
// still be read, and what is wrong may be put right.
func (d *daemon) campaign(ctx context.Context) {
	pause := minCampaignPause
	for {
		err := d.store.Campaign(ctx)
		if err == nil {
			pause = minCampaignPause
			select {
			case <-d.store.Leadership().Done():
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return
		}
		wait := pause
		if err != nil {
			d.logger.Error("can't lead; trying again", "retry_in", wait, "error", err)
			pause = min(2*pause, maxCampaignPause)
		}
		select {
		case <-time.After(wait/2 + rand.N(wait/2)): // daemons that lost together don't come back together
		case <-ctx.Done():
			return
		}
	}
}
