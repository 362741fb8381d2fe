package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"path"
	"strings"

	"github.com/scheduler-store/scheduler-store/bucket"
)

// access is how the rights of a role are given on each kind of store.
func (p *patient) access() string {
	return p.fix(fixes{
		S3:         "Terraform: attach the module's policy of the role " + string(p.Role) + " (cell = \"CELL\"); look with: aws sts get-caller-identity",
		Compatible: "Terraform: attach the module's policy of the role " + string(p.Role) + " (cell = \"CELL\"), or: mc admin policy attach ALIAS POLICY --user USER",
		GCS:        "Terraform: bind the module's role " + string(p.Role) + " (cell = \"CELL\"); look with: gcloud storage buckets get-iam-policy gs://BUCKET",
		Directory:  "let the daemon's user own it: chown -R USER BUCKET",
	})
}

func reach(ctx context.Context, p *patient) []Finding {
	err := p.open(ctx)
	if err == nil {
		err = p.scratch.Check(ctx)
	}
	if err == nil {
		p.answered, p.reached = true, true
		return ok("the store answers, and lists what is below the cell")
	}
	found, text := err.Error(), err.Error()
	p.answered = errors.Is(err, bucket.ErrDenied)
	const means = "no store can run here; nothing was tried but this"
	switch {
	case errors.Is(err, bucket.ErrNoBucket):
		return unfit(found, means, "check the name in the URL, or make it: "+p.fix(fixes{
			S3:         "Terraform: bucket = \"BUCKET\", or: aws s3 mb s3://BUCKET",
			Compatible: "Terraform: bucket = \"BUCKET\", or: mc mb ALIAS/BUCKET",
			GCS:        "Terraform: bucket = \"BUCKET\", or: gcloud storage buckets create gs://BUCKET --uniform-bucket-level-access",
			Directory:  "mkdir -m 0750 -p BUCKET",
		}))
	case strings.Contains(text, "RequestTimeTooSkewed"):
		return unfit(found, means, "set this host's clock, by NTP: the store refuses what was signed more than 15 minutes ago or ahead")
	case strings.Contains(text, "InvalidAccessKeyId"), strings.Contains(text, "SignatureDoesNotMatch"), strings.Contains(text, "ExpiredToken"), strings.Contains(text, "InvalidToken"):
		return unfit(found, means, "the credentials are not known there, wrong or expired; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role")
	case errors.Is(err, bucket.ErrDenied):
		return unfit(found, means+"; the credentials may not list, or are for another bucket: a store tells nobody else which buckets there are",
			"check the bucket's name and the credentials. "+p.access())
	}
	return unfit(found, means, "check the endpoint, the region and the network between")
}

func read(ctx context.Context, p *patient) []Finding {
	_, err := p.own[0].Get(ctx, "nothing")
	switch {
	case errors.Is(err, bucket.ErrNotExist):
		return ok("objects below the cell may be read and listed")
	case errors.Is(err, bucket.ErrDenied):
		return unfit(err.Error(), "the role "+string(p.Role)+" has too few permissions: nothing can be recovered or followed", p.access())
	}
	return undecided(err, "that objects may be read")
}

func unique(text string) []byte { return []byte(text + " " + rand.Text()) }

func write(ctx context.Context, p *patient) []Finding {
	const key = "written"
	b, first, second := p.own[0], unique("first"), unique("second")
	version, err := b.Create(ctx, key, first)
	if err == nil {
		version, err = b.Replace(ctx, key, second, version)
	}
	if err != nil {
		return p.cannotWrite(err)
	}
	if object, err := b.Get(ctx, key); err != nil || !bytes.Equal(object.Data, second) || object.Version != version {
		if err == nil {
			err = errors.New("what was read is not what was written")
		}
		return undecided(err, "that what is written can be read")
	}
	err = b.Delete(ctx, key)
	switch {
	case errors.Is(err, bucket.ErrDenied):
		return unfit(err.Error(), "the role "+string(p.Role)+" has too few permissions: garbage is never collected, so the bucket grows for ever. Nothing more was written, since it could not be removed", p.access())
	case err != nil:
		return undecided(err, "that objects can be deleted")
	}
	p.writes = true
	return ok("an object below the cell was made, replaced, read and deleted")
}

func (p *patient) cannotWrite(err error) []Finding {
	const means = "nothing can be committed"
	switch {
	case errors.Is(err, bucket.ErrDenied) && p.Kind == Directory:
		return unfit(err.Error(), means+": the directory or its file system is read-only for this user", p.access()+"; or mount it for writing: mount -o remount,rw MOUNTPOINT")
	case errors.Is(err, bucket.ErrDenied):
		return unfit(err.Error(), "the role "+string(p.Role)+" has too few permissions: "+means, p.access())
	case errors.Is(err, bucket.ErrNotLanded):
		return unfit(err.Error(), means+", though nothing that was is lost", "make room: "+p.fix(fixes{Directory: "look with df -h BUCKET and df -i BUCKET, then free or add room, or move the store with 'scheduler-store copy'"}))
	}
	return undecided(err, "that objects can be written")
}

// refusal tries what credentials that only read must not be able to do. Nothing is
// written if all is well.
func refusal(ctx context.Context, p *patient) []Finding {
	const means = "the role follower has too many permissions: who gets hold of these credentials can change or delete the state"
	b := p.own[0]
	_, err := b.Create(ctx, "must-be-refused", unique("must be refused"))
	switch {
	case err == nil:
		return unfit("an object could be made below the cell", means, p.access())
	case !errors.Is(err, bucket.ErrDenied):
		return undecided(err, "that these credentials can't write")
	}
	err = b.Delete(ctx, "must-be-refused-too")
	switch {
	case err == nil:
		return unfit("an object could be deleted below the cell", means, p.access())
	case !errors.Is(err, bucket.ErrDenied):
		return undecided(err, "that these credentials can't delete")
	}
	return ok("making and deleting objects below the cell is refused")
}

// outside tries keys beside the cell. A replacement of what is not there writes nothing
// even if it is allowed: who may write is told that it is not there.
func outside(ctx context.Context, p *patient) []Finding {
	if p.Prefix == "" {
		return skipped("the cell is the whole of it: there is nothing beside it")
	}
	beside := strings.TrimPrefix(path.Dir(p.Prefix)+"/", "./") + "doctor-" + strings.ToLower(rand.Text()[:16])
	b := bucket.New(p.driver, strings.TrimSuffix(p.URL, p.Prefix), "", bucket.Options{})
	_, err := b.Get(ctx, beside)
	reads := errors.Is(err, bucket.ErrNotExist)
	if err != nil && !reads && !errors.Is(err, bucket.ErrDenied) {
		return undecided(err, "that these credentials can't read beside the cell")
	}
	writes := false
	if p.conditions || p.Role == Follower {
		// Not through the Bucket, which would read what it finds in its way.
		_, err := p.driver.Replace(ctx, beside, unique("must be refused"), p.noVersion())
		switch writes = errors.Is(err, bucket.ErrChanged); {
		case err == nil: // a server that ignores conditions, and lets it be written
			return undecided(errors.Join(errors.New("what is not there could be replaced: "+beside), b.Delete(ctx, beside)), "that conditional writes are honoured")
		case !writes && !errors.Is(err, bucket.ErrDenied):
			return undecided(err, "that these credentials can't write beside the cell")
		}
	}
	const means = "the role %s has too many permissions: a mistake, or who gets hold of these credentials, reaches other cells and whatever else is in the bucket"
	explained := strings.Replace(means, "%s", string(p.Role), 1)
	switch {
	case writes:
		return warning("objects beside the cell could be written", explained, p.access())
	case reads:
		return warning("objects beside the cell can be read", explained, p.access())
	case !p.conditions && p.Role != Follower:
		return ok("objects beside the cell can't be read; whether they could be written was not tried")
	}
	return ok("objects beside the cell can be neither read nor written")
}

// noVersion is a version that no object has, in the form of the store's.
func (p *patient) noVersion() bucket.Version {
	if p.Kind == GCS {
		return "1"
	}
	return `"00000000000000000000000000000000"`
}
