package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// ask asks the store once for all its settings.
func (p *patient) ask(ctx context.Context) driver.Settings {
	if p.settings == nil {
		s := undescribed()
		if d, ok := p.driver.(driver.Describer); ok {
			s = d.Settings(ctx)
		}
		p.settings = &s
	}
	return *p.settings
}

// undescribed are the settings of a store that has none.
func undescribed() (s driver.Settings) {
	none := errors.ErrUnsupported
	s.Versioning.Err, s.Rules.Err, s.Retention.Err, s.Public.Err, s.PublicBlocked.Err, s.Room.Err = none, none, none, none, none, none
	return s
}

// unread is the finding about a setting that could not be had.
func (p *patient) unread(err error, what string) []Finding {
	if errors.Is(err, errors.ErrUnsupported) {
		return skipped("the store has no such setting")
	}
	f := Finding{
		Verdict: Unread, Found: "could not be read: " + err.Error(),
		Means: "whether " + what + " is not known",
		Fix: "run doctor as operator, or let this role ask. " + p.fix(fixes{
			S3:         "Terraform: the module's policy of the role operator has s3:GetBucketVersioning, s3:GetLifecycleConfiguration, s3:GetBucketObjectLockConfiguration, s3:GetBucketPublicAccessBlock, s3:GetBucketPolicyStatus",
			Compatible: "Terraform: the module's policy of the role operator has s3:GetBucketVersioning, s3:GetLifecycleConfiguration, s3:GetBucketObjectLockConfiguration, s3:GetBucketPolicyStatus",
			GCS:        "Terraform: the module's role operator has storage.buckets.get",
		}),
	}
	if p.Role == Operator && errors.Is(err, bucket.ErrDenied) {
		f.Verdict = Unfit
		f.Means = "the role operator has too few permissions; " + f.Means
	}
	return []Finding{f}
}

// covers tells whether a rule is for the whole cell, touches whether for some of it.
func (p *patient) covers(r driver.Rule) bool {
	return p.matches(r, func(cell, prefix string) bool { return strings.HasPrefix(cell, prefix) })
}

func (p *patient) touches(r driver.Rule) bool {
	return p.matches(r, func(cell, prefix string) bool {
		return strings.HasPrefix(cell, prefix) || strings.HasPrefix(prefix, cell)
	})
}

func (p *patient) matches(r driver.Rule, match func(cell, prefix string) bool) bool {
	cell := p.Prefix
	if cell != "" {
		cell += "/"
	}
	for _, prefix := range r.Prefixes {
		if match(cell, prefix) {
			return true
		}
	}
	return len(r.Prefixes) == 0
}

func versioning(ctx context.Context, p *patient) []Finding {
	s := p.ask(ctx)
	const what = "what is overwritten piles up"
	if s.Versioning.Err != nil {
		return p.unread(s.Versioning.Err, what)
	}
	v := s.Versioning.Value
	renewals := int64(24*time.Hour/p.LeaseTTL) * 3
	piles := fmt.Sprintf("the data is safe, but a lease of %v leaves %d old versions of lease.json in a day, and what is collected still takes room: both are paid for, and make lists slow", p.LeaseTTL, renewals)
	var findings []Finding
	if v.Enabled {
		findings = p.versioned(s.Rules, piles, what)
	}
	if v.SoftDelete > 0 {
		findings = append(findings, warning(fmt.Sprintf("what is overwritten or deleted is kept for %d days (soft delete)", v.SoftDelete/(24*time.Hour)), piles,
			p.fix(fixes{GCS: "Terraform: soft_delete_days = 0, or: gcloud storage buckets update gs://BUCKET --clear-soft-delete"}))...)
	}
	switch {
	case findings != nil:
		return findings
	case v.Suspended:
		return ok("versioning is suspended; versions from before may still be there")
	}
	return ok("versioning is off")
}

func (p *patient) versioned(rules driver.Setting[[]driver.Rule], piles, what string) []Finding {
	if rules.Err != nil && !errors.Is(rules.Err, errors.ErrUnsupported) {
		return p.unread(rules.Err, what)
	}
	for _, r := range rules.Value {
		if r.ExpiresNoncurrent && p.covers(r) {
			return ok("versioning is on, and versions that are not current expire")
		}
	}
	return warning("versioning is on, and versions that are not current never expire", piles, p.fix(fixes{
		S3:         "Terraform: versioning = false, or noncurrent_days = 1; or: aws s3api put-bucket-lifecycle-configuration --bucket BUCKET with NoncurrentVersionExpiration of 1 day for the prefix CELL",
		Compatible: "Terraform: versioning = false, or noncurrent_days = 1; or: mc ilm rule add ALIAS/BUCKET --prefix CELL --noncurrent-expire-days 1 --expire-delete-marker",
		GCS:        "Terraform: versioning = false, or noncurrent_days = 1; or: gcloud storage buckets update gs://BUCKET --no-versioning",
	}))
}

func lifeCycle(ctx context.Context, p *patient) []Finding {
	rules := p.ask(ctx).Rules
	if rules.Err != nil {
		return p.unread(rules.Err, "a rule deletes live objects")
	}
	var findings []Finding
	for _, r := range rules.Value {
		name := fmt.Sprintf("the rule %q, for %s,", r.ID, describePrefixes(r.Prefixes))
		fix := p.fix(fixes{
			S3:         "Terraform: leave the rules to the module (lifecycle_rules = []); or give the rule another prefix: aws s3api get-bucket-lifecycle-configuration --bucket BUCKET, then put-bucket-lifecycle-configuration",
			Compatible: "Terraform: leave the rules to the module (lifecycle_rules = []); or: mc ilm rule ls ALIAS/BUCKET, then mc ilm rule rm ALIAS/BUCKET --id ID",
			GCS:        "Terraform: leave the rules to the module (lifecycle_rules = []); or: gcloud storage buckets update gs://BUCKET --lifecycle-file with the rule's matchesPrefix elsewhere",
		})
		switch {
		case !p.touches(r):
		case r.Expires:
			findings = append(findings, unfit(name+" deletes current objects "+r.When,
				"the log, its seals and cell.json go while they are needed: acknowledged transactions are lost, and the store refuses to open. Only the store knows what is garbage", fix)...)
		case r.MovesTo != "":
			findings = append(findings, unfit(name+" moves current objects to "+r.MovesTo, "what was moved can't be read for hours: a recovery fails", fix)...)
		}
	}
	if findings == nil {
		return ok(fmt.Sprintf("none of %d rules deletes current objects of the cell", len(rules.Value)))
	}
	return findings
}

func describePrefixes(prefixes []string) string {
	if len(prefixes) == 0 {
		return "all objects"
	}
	return "the prefix " + strings.Join(prefixes, ", ")
}

func retention(ctx context.Context, p *patient) []Finding {
	r := p.ask(ctx).Retention
	const day = 24 * time.Hour
	switch {
	case r.Err != nil:
		return p.unread(r.Err, "objects are kept from deletion")
	case r.Value.Objects > 0 || r.Value.Hold:
		found := fmt.Sprintf("every object is kept for %d days, and can't be replaced in that time", r.Value.Objects/day)
		if r.Value.Hold {
			found = "every new object is on hold, and can't be replaced"
		}
		return unfit(found, "the lease can't be renewed, so nobody can lead; and nothing can be collected", p.fix(fixes{
			GCS: "Terraform: retention_days = 0 (backups have a bucket of their own: serve --backups); or: gcloud storage buckets update gs://BUCKET --clear-retention-period --no-default-event-based-hold",
		}))
	case r.Value.Versions > 0:
		return warning(fmt.Sprintf("every version is kept for %d days (default retention of the object lock)", r.Value.Versions/day),
			fmt.Sprintf("the data is safe, but each renewal of the lease leaves a version that nobody can delete before, %d in a day; garbage can't be deleted either", int64(day/p.LeaseTTL)*3),
			p.fix(fixes{
				S3:         "Terraform: object_lock_days = 0 (backups have a bucket of their own: serve --backups); or: aws s3api put-object-lock-configuration --bucket BUCKET --object-lock-configuration ObjectLockEnabled=Enabled",
				Compatible: "Terraform: object_lock_days = 0 (backups have a bucket of their own: serve --backups); or: mc retention clear --default ALIAS/BUCKET",
			}))
	}
	return ok("nothing keeps objects from being replaced or deleted")
}

func public(ctx context.Context, p *patient) []Finding {
	s := p.ask(ctx)
	const means = "who is not asked for credentials can read the state of the cluster, or change it"
	fix := p.fix(fixes{
		S3:         "Terraform: block_public_access = true; or: aws s3api put-public-access-block --bucket BUCKET --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true",
		Compatible: "Terraform: public = false; or: mc anonymous set none ALIAS/BUCKET",
		GCS:        "Terraform: public_access_prevention = \"enforced\"; or: gcloud storage buckets update gs://BUCKET --public-access-prevention",
		Directory:  "chmod 0750 BUCKET",
	})
	found, tried, err := p.anonymous(ctx)
	switch {
	case found != "":
		return unfit(found, means, fix)
	case err != nil:
		return []Finding{{Verdict: Unread, Found: "could not be tried: " + err.Error(), Means: "whether everybody may read is not known", Fix: "put right what the error says, and run doctor again"}}
	case s.Public.Err == nil && s.Public.Value != "":
		if p.Kind == Directory {
			return warning("open to others: "+s.Public.Value, "every user of the host can read the state of the cluster, or change it", fix)
		}
		return unfit("open to everybody by "+s.Public.Value, means, fix)
	case s.PublicBlocked.Err == nil && !s.PublicBlocked.Value && p.Kind != Directory:
		return warning("nobody is let in without credentials now, but nothing blocks a policy that would", "one wrong policy opens the state of the cluster to everybody", fix)
	case s.PublicBlocked.Err == nil && s.PublicBlocked.Value:
		return ok("blocked")
	case !tried && errors.Is(s.Public.Err, errors.ErrUnsupported):
		return skipped("nobody has credentials here")
	case !tried && s.Public.Err != nil:
		return p.unread(s.Public.Err, "everybody may read")
	case !errors.Is(s.PublicBlocked.Err, errors.ErrUnsupported) && p.Kind != Directory:
		return p.unread(s.PublicBlocked.Err, "anything blocks public access")
	case tried:
		return ok("without credentials nothing can be listed, read or written")
	}
	return ok("not open to others")
}

// anonymous tries what can be done without credentials.
func (p *patient) anonymous(ctx context.Context) (found string, tried bool, err error) {
	if p.OpenAnonymous == nil {
		return "", false, nil
	}
	d, err := p.OpenAnonymous(ctx)
	if err != nil {
		return "", false, err
	}
	b := bucket.New(d, p.scratch.Name(), p.scratch.Prefix, bucket.Options{})
	defer func() { err = errors.Join(err, b.Close()) }()
	const key = "secret"
	if p.writes {
		if _, err := p.own[0].Create(ctx, key, unique(key)); err != nil {
			return "", false, err
		}
	}
	_, err = b.Get(ctx, key)
	if err == nil || errors.Is(err, bucket.ErrNotExist) {
		return "objects below the cell can be read without credentials", true, nil
	}
	if !errors.Is(err, bucket.ErrDenied) {
		return "", false, err
	}
	var listed error
	for _, listed = range b.List(ctx, "", "") {
		break
	}
	if listed == nil {
		return "objects below the cell can be listed without credentials", true, nil
	}
	if !errors.Is(listed, bucket.ErrDenied) {
		return "", false, listed
	}
	if p.conditions {
		// Writes nothing, as in outside.
		_, err := d.Replace(ctx, p.scratch.Prefix+"nothing-"+strings.ToLower(rand.Text()), unique("x"), p.noVersion())
		if err == nil || errors.Is(err, bucket.ErrChanged) {
			return "objects below the cell can be written without credentials", true, nil
		}
		if !errors.Is(err, bucket.ErrDenied) {
			return "", false, err
		}
	}
	return "", true, nil
}

const (
	leastFree  = 64 << 20
	littleFree = 1 << 30
	leastFiles = 1000
)

func room(ctx context.Context, p *patient) []Finding {
	r := p.ask(ctx).Room
	switch {
	case p.Kind != Directory:
		return skipped("not a directory")
	case errors.Is(r.Err, errors.ErrUnsupported):
		return skipped("this operating system is not asked for it")
	case r.Err != nil:
		return p.unread(r.Err, "there is room")
	}
	v := r.Value
	name := v.FileSystem
	if name == "" {
		name = "a file system of a type that is not known"
	}
	full := p.fix(fixes{Directory: "look with df -h BUCKET and df -i BUCKET, then free or add room, or move the store with 'scheduler-store copy'"})
	switch {
	case v.Network:
		return unfit("it is on "+name+", another host's", "locks and links of network file systems may lie: "+lost, "use a local disk, with ext4 or xfs; between hosts use a bucket")
	case v.ReadOnly && p.Role != Follower:
		return unfit(name+" is mounted read-only", "nothing can be committed", "mount -o remount,rw MOUNTPOINT; if the kernel did it, look at dmesg for the disk's errors first")
	case v.FreeBytes < leastFree:
		return unfit(fmt.Sprintf("%s has %s free of %s", name, size(v.FreeBytes), size(v.Bytes)), "nothing can be committed, or soon; nothing that was is lost", full)
	case v.Files > 0 && v.FreeFiles < leastFiles:
		return unfit(fmt.Sprintf("%s has room for %d more files, of %d", name, v.FreeFiles, v.Files), "nothing can be committed, or soon; nothing that was is lost", full)
	case v.FreeBytes < littleFree:
		return warning(fmt.Sprintf("%s has %s free of %s", name, size(v.FreeBytes), size(v.Bytes)), "a few snapshots of a large cell fill it; then nothing can be committed", full)
	}
	return ok(fmt.Sprintf("%s, %s free of %s", name, size(v.FreeBytes), size(v.Bytes)))
}

func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}
