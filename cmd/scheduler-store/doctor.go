package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/doctor"
	"github.com/scheduler-store/scheduler-store/lease"
)

// role is the value of --role.
type role doctor.Role

func (r *role) String() string { return string(*r) }

func (r *role) Type() string { return "role" }

func (r *role) Set(s string) error {
	for _, known := range doctor.Roles() {
		if s == string(known) {
			*r = role(s)
			return nil
		}
	}
	return errors.New("must be writer, follower or operator")
}

func (c *command) doctorCommand() *cobra.Command {
	of := role(doctor.Writer)
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "doctor [STORE]",
		Short: "Prove that a bucket is fit for a store, and tell what to do if it is not",
		Long: `Prove that a bucket is fit for a store: STORE, or else --store. It tries what can be tried, with
the credentials that it has, and asks for the settings that can't be tried:

` + doctorList() + `
Each finding says what it means for the data, and how to put it right. ok and warning are fit;
unfit is not; unread is a setting that these credentials may not read, so nothing is known of it.

It writes below the cell only, in doctor/<random>/, which is removed at the end, also after an
interrupt. The cell's own objects are left alone, so it can be run beside a daemon. It makes
about 3,500 requests, of which S3 charges for 2,400 PUTs and LISTs: $0.015. With --role follower
it writes nothing, unless it finds that it could.`,
		Example: `  scheduler-store doctor s3://bucket/cells/prod?region=us-east-1
  scheduler-store doctor gs://bucket/cells/prod --role follower
  scheduler-store doctor /var/lib/scheduler-store --output json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if cmd.Flags().Changed("store") && args[0] != c.store {
					return usageErrorf("two stores: %q and --store; name one", args[0])
				}
				c.store = args[0]
			}
			if err := (lease.Options{TTL: ttl}).Check(); err != nil {
				return usageErrorf("--lease-ttl: %w", err)
			}
			return c.doctor(cmd.Context(), doctor.Options{Role: doctor.Role(of), LeaseTTL: ttl})
		},
	}
	cmd.Flags().Var(&of, "role", "`role` that the credentials are for: writer, follower or operator")
	cmd.Flags().DurationVar(&ttl, "lease-ttl", 15*time.Second, "how long a leader may hang before another takes over, 3s to 1h")
	return cmd
}

// doctorList describes the checks, for the help.
func doctorList() string {
	var list strings.Builder
	for _, p := range doctor.Probes() {
		fmt.Fprintf(&list, "  %-15s%s\n", p.Name, p.Does)
	}
	return list.String()
}

func (c *command) doctor(ctx context.Context, o doctor.Options) error {
	storeURL, err := c.storeURL()
	if err != nil {
		return err
	}
	location, err := bucketurl.Parse(storeURL)
	if err != nil {
		return err
	}
	progress := c.newProgress(int64(len(doctor.Probes())), "doctor")
	o.Progress = func(done, total int, what string) {
		progress.setTotal(int64(total))
		progress.set(int64(done), what)
	}
	report, err := doctor.Examine(ctx, examined(storeURL, location), o)
	progress.clear()
	if err != nil {
		return err
	}
	if c.output == jsonOutput {
		err = c.printJSON(report)
	} else {
		err = c.printDiagnosis(report)
	}
	if err == nil && !report.Fit {
		err = fmt.Errorf("%s is not fit for the role %s: %s", report.Store, report.Role, count(report.Count(doctor.Unfit), "finding"))
	}
	return err
}

// examined is a store for the doctor.
func examined(storeURL string, location bucketurl.Location) doctor.Store {
	s := doctor.Store{
		URL: location.String(), Bucket: location.Bucket, Prefix: location.Prefix,
		Open: func(ctx context.Context) (driver.Bucket, error) { return openExamined(ctx, storeURL, location) },
	}
	emulated := location.Scheme == "gs" && os.Getenv("STORAGE_EMULATOR_HOST") != ""
	switch location.Scheme {
	case "file":
		s.Kind = doctor.Directory
	case "mem":
		s.Kind = doctor.Memory
	case "gs":
		s.Kind = doctor.GCS
	default:
		s.Kind = doctor.Compatible
		if location.Provider() != "" {
			s.Kind = doctor.S3
		}
	}
	if (location.Scheme == "s3" || location.Scheme == "gs") && !emulated {
		s.OpenAnonymous = func(ctx context.Context) (driver.Bucket, error) {
			return openExamined(ctx, anonymously(storeURL), location)
		}
	}
	return s
}

// openExamined opens a store, but makes no directory where there is none. What fails is
// tried for a few seconds only: somebody waits.
func openExamined(ctx context.Context, storeURL string, location bucketurl.Location) (driver.Bucket, error) {
	if location.Scheme == "file" {
		if _, err := os.Stat(location.Bucket); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w: there is no directory %s", bucket.ErrNoBucket, location.Bucket)
		}
	}
	d, _, err := bucketurl.OpenDriver(ctx, storeURL, bucketurl.Options{RetryFor: 10 * time.Second})
	return d, err
}

// anonymously is the URL of the same store for who has no credentials.
func anonymously(storeURL string) string {
	base, query, _ := strings.Cut(storeURL, "?")
	parameters, _ := url.ParseQuery(query) // it was parsed before
	for _, name := range []string{"profile", "role"} {
		parameters.Del(name)
	}
	parameters.Set("anonymous", "true")
	return base + "?" + parameters.Encode()
}

func (c *command) printDiagnosis(r *doctor.Report) error {
	fmt.Fprintf(c.stdout, "%s as %s\n\n", printable(r.Store), r.Role)
	t := c.table("CHECK", "VERDICT", "FOUND")
	for _, f := range r.Findings {
		found := f.Found
		if f.Means != "" {
			found = "see below"
		}
		t.row(f.Check, string(f.Verdict), found)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(r.Latencies) > 0 {
		fmt.Fprintln(c.stdout)
		t = c.table("REQUEST", "MEDIAN", "1 IN 100", "WHICH IS")
		for _, l := range r.Latencies {
			t.row(l.Operation, inMilliseconds(l.P50), inMilliseconds(l.P99), l.Is)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	for _, f := range r.Findings {
		if f.Means == "" {
			continue
		}
		fmt.Fprintf(c.stdout, "\n%s: %s\n", strings.ToUpper(string(f.Verdict)), f.Check)
		for _, line := range [][2]string{{"found", f.Found}, {"means", f.Means}, {"fix", f.Fix}} {
			if line[1] != "" {
				fmt.Fprintf(c.stdout, "  %-7s%s\n", line[0], printable(oneLine(errors.New(line[1]))))
			}
		}
	}
	verdict := "fit"
	if !r.Fit {
		verdict = "not fit"
	}
	_, err := fmt.Fprintf(c.stdout, "\n%s for the role %s: %s unfit, %s, %s unread\n", verdict, r.Role,
		cmp.Or(number(r.Count(doctor.Unfit)), "nothing"), count(r.Count(doctor.Warning), "warning"), cmp.Or(number(r.Count(doctor.Unread)), "nothing"))
	return err
}

// number is empty for 0.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func inMilliseconds(ms float64) string { return strconv.FormatFloat(ms, 'f', 1, 64) + " ms" }
