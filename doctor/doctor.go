// Package doctor proves that a bucket is fit for a store, and tells what to do if it is
// not.
//
// It believes nothing that it can try: many writers race for one object, what was just
// written is read through another client, requests are made that must be refused. What
// can't be tried (what a life-cycle rule would delete next month) it asks the store for.
// Each check is a probe: a name, what is done, and a function that makes findings.
//
//	reach → clock → room → read → write or refusal → conditions → races → consistency →
//	outside → versioning, life cycle, retention, public access → latency → listing
//
// A probe that stands on an earlier one that failed is skipped, and says so.
//
// What is written lies under a random prefix of the cell's, doctor/<random>/, and is
// removed at the end, also after an interrupt. The cell's own objects are neither read
// nor written, so a store that runs on the same cell notices nothing but the requests. In
// a directory the driver's lock files stay, as they do after any write.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/internal/scratch"
)

// Role is what the credentials are for.
type Role string

// The roles.
const (
	Writer   Role = "writer"   // of a daemon that may lead: reads, writes and deletes below the cell
	Follower Role = "follower" // of a daemon that only follows: reads below the cell
	Operator Role = "operator" // of who looks after the bucket: as a writer, and reads its settings
)

// Roles are all of them.
func Roles() []Role { return []Role{Writer, Follower, Operator} }

// Kind is a kind of store, for which things are put right in one way.
type Kind string

// The kinds.
const (
	S3         Kind = "s3"        // Amazon's
	Compatible Kind = "minio"     // MinIO, and other servers that speak S3's protocol
	GCS        Kind = "gcs"       // Google's, or an emulator of it
	Directory  Kind = "directory" //
	Memory     Kind = "memory"
)

// Store is what is examined.
type Store struct {
	URL    string // without parameters
	Kind   Kind
	Bucket string // its name; of a directory the path
	Prefix string // the cell's, without slashes at its ends; may be empty
	// Open opens the store. It is called twice, for two clients that share nothing.
	Open func(context.Context) (driver.Bucket, error)
	// OpenAnonymous opens it without credentials; nil where there are none.
	OpenAnonymous func(context.Context) (driver.Bucket, error)
}

// Options of Examine.
type Options struct {
	Role     Role          // Writer if empty
	LeaseTTL time.Duration // of the leader; 15 s if zero
	// Progress is told what is done next; may be nil.
	Progress func(done, total int, what string)
}

// Verdict is what a finding comes to.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning" // the data is safe, but something should be put right
	Unfit   Verdict = "unfit"   // data can be lost, or a store does not run
	Unread  Verdict = "unread"  // a setting could not be read, so nothing is known of it
	Skipped Verdict = "skipped" // there is nothing to check, or it can't be tried
)

// Finding is what one check came to.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Found   string  `json:"found"`
	// Means is what it means for the data, Fix how it is put right; both are empty if
	// there is nothing to put right.
	Means string `json:"means,omitempty"`
	Fix   string `json:"fix,omitempty"`
}

// Report is what was found.
type Report struct {
	Store    string `json:"store"`
	Role     Role   `json:"role"`
	Fit      bool   `json:"fit"` // nothing was found unfit
	LeaseTTL int64  `json:"leaseTtlMs"`
	// Scratch is the URL below which everything was written.
	Scratch   string    `json:"scratch"`
	Findings  []Finding `json:"findings"`
	Latencies []Latency `json:"latencies"`
}

// Count is the number of findings with a verdict.
func (r *Report) Count(v Verdict) int {
	n := 0
	for _, f := range r.Findings {
		if f.Verdict == v {
			n++
		}
	}
	return n
}

// patient is a store under examination, and what is known of it so far.
type patient struct {
	Store
	Options
	report  *Report
	scratch *scratch.Scratch // nil until the store is open
	driver  driver.Bucket
	own     []*bucket.Bucket // the scratch, by two clients

	settings *driver.Settings

	answered   bool // the store has said something, a refusal perhaps
	reached    bool // it lists
	writes     bool // objects can be written, and deleted
	conditions bool // conditional writes are refused if they must be
}

// Examine runs all probes that suit the role. It fails only if ctx ends; what was
// written is removed then too.
func Examine(ctx context.Context, s Store, o Options) (_ *Report, err error) {
	if o.Role == "" {
		o.Role = Writer
	}
	if o.LeaseTTL == 0 {
		o.LeaseTTL = 15 * time.Second
	}
	if o.Progress == nil {
		o.Progress = func(int, int, string) {}
	}
	p := &patient{Store: s, Options: o, report: &Report{
		Store: s.URL, Role: o.Role, LeaseTTL: o.LeaseTTL.Milliseconds(), Findings: []Finding{}, Latencies: []Latency{},
	}}
	defer func() { err = errors.Join(err, p.close()) }()
	probes := probes()
	for i, probe := range probes {
		o.Progress(i, len(probes), probe.Does)
		findings := p.run(ctx, probe)
		if ctx.Err() != nil {
			err := fmt.Errorf("the examination was cut off: %w", context.Cause(ctx))
			if left := p.remove(ctx); left.Verdict == Warning {
				err = errors.Join(err, errors.New(left.Found))
			}
			return p.report, err
		}
		p.add(probe.Name, findings...)
	}
	o.Progress(len(probes), len(probes), "removes what it wrote")
	p.add("removal", p.remove(ctx))
	p.report.Fit = p.report.Count(Unfit) == 0
	return p.report, nil
}

func (p *patient) run(ctx context.Context, probe Probe) []Finding {
	if why := probe.skip(p); why != "" {
		return []Finding{{Verdict: Skipped, Found: why}}
	}
	return probe.run(ctx, p)
}

func (p *patient) add(check string, findings ...Finding) {
	for _, f := range findings {
		f.Check = check
		p.report.Findings = append(p.report.Findings, f)
	}
}

// open opens the two clients.
func (p *patient) open(ctx context.Context) error {
	for range 2 {
		d, err := p.Open(ctx)
		if err != nil {
			return err
		}
		if p.driver == nil {
			p.driver = d
			p.scratch = scratch.New(d, p.URL, p.Prefix, "doctor/")
			p.report.Scratch = p.scratch.Name()
		}
		p.own = append(p.own, bucket.New(d, p.scratch.Name(), p.scratch.Prefix, bucket.Options{}))
	}
	return nil
}

func (p *patient) close() error {
	var err error
	for _, b := range p.own {
		err = errors.Join(err, b.Close())
	}
	return err
}

// remove removes what was written.
func (p *patient) remove(ctx context.Context) Finding {
	if p.scratch == nil || !p.reached {
		return Finding{Verdict: Skipped, Found: "nothing was written"}
	}
	if err := p.scratch.Remove(ctx); err != nil {
		return Finding{
			Verdict: Warning, Found: err.Error(),
			Means: "what is left is no part of the cell; it only takes room",
			Fix: p.fix(fixes{
				S3:         "aws s3 rm --recursive s3://BUCKET/SCRATCH",
				Compatible: "mc rm --recursive --force ALIAS/BUCKET/SCRATCH",
				GCS:        "gcloud storage rm --recursive gs://BUCKET/SCRATCH",
				Directory:  "rm -r BUCKET/SCRATCH",
			}),
		}
	}
	return Finding{Verdict: OK, Found: "everything below " + p.scratch.Folder + "/ is removed"}
}

// fixes are how one thing is put right on each kind of store. In them BUCKET stands for
// the bucket, CELL for the cell's prefix with its slash, SCRATCH for that of the doctor.
type fixes map[Kind]string

func (p *patient) fix(f fixes) string {
	text := f[p.Kind]
	path := p.Prefix
	if path != "" {
		path += "/"
	}
	scratch := path + "doctor/"
	if p.scratch != nil {
		scratch = p.scratch.Prefix
	}
	return strings.NewReplacer("BUCKET", p.Bucket, "CELL", path, "SCRATCH", scratch).Replace(text)
}
