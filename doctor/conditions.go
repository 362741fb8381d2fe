package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/race"
)

// lost is what it means that conditional writes can't be relied on. Nothing puts that
// right but another store.
const lost = "two leaders can overwrite each other's entries: acknowledged transactions are lost"

func (p *patient) otherStore() string {
	return p.fix(fixes{
		S3:         "name Amazon's own endpoint, without a proxy that drops If-None-Match and If-Match; Terraform module s3",
		Compatible: "use a server with If-None-Match and If-Match on PUT, such as MinIO of 2025 or versitygw 1.8, without a proxy that drops these headers; Terraform module minio",
		GCS:        "name Google's own endpoint, without a proxy that drops ifGenerationMatch; Terraform module gcs",
		Directory:  "use a local file system with hard links and flock(2), such as ext4 or xfs",
	})
}

func conditions(ctx context.Context, p *patient) []Finding {
	const key = "conditions"
	b, first, second := p.own[0], unique("first"), unique("second")
	old, err := b.Create(ctx, key, first)
	if err != nil {
		return undecided(err, "that conditions are honoured")
	}
	if err := b.CheckConditions(ctx, key, bucket.Object{Data: first, Version: old}); err != nil {
		return p.ignored(err)
	}
	version, err := b.Replace(ctx, key, second, old)
	if err != nil {
		return undecided(err, "that an object can be replaced")
	}
	if _, err := b.Create(ctx, key, unique("third")); !errors.Is(err, bucket.ErrExists) {
		return p.notRefused(err, "put-if-absent of an object that is there")
	}
	if _, err := b.Replace(ctx, key, unique("third"), old); !errors.Is(err, bucket.ErrChanged) {
		return p.notRefused(err, "compare-and-swap of a version that was replaced")
	}
	if _, err := b.Replace(ctx, key+"-missing", unique("third"), version); !errors.Is(err, bucket.ErrChanged) {
		return p.notRefused(err, "compare-and-swap of an object that is not there")
	}
	object, err := b.Get(ctx, key)
	switch {
	case err != nil:
		return undecided(err, "that what was refused is not written")
	case !bytes.Equal(object.Data, second):
		return unfit("a write that was refused is there all the same", lost, p.otherStore())
	}
	p.conditions = true
	return ok("put-if-absent and compare-and-swap are refused when their condition does not hold")
}

func (p *patient) ignored(err error) []Finding {
	if errors.Is(err, bucket.ErrConditionsIgnored) {
		return unfit(err.Error(), lost, p.otherStore())
	}
	return undecided(err, "that conditions are honoured")
}

func (p *patient) notRefused(err error, what string) []Finding {
	if err == nil {
		err = fmt.Errorf("%w: %s succeeded", bucket.ErrConditionsIgnored, what)
	}
	return p.ignored(err)
}

const (
	racers       = 32
	createRaces  = 16
	replaceRaces = 4 // GCS takes one change of one object in a second
)

func createRace(ctx context.Context, p *patient) []Finding {
	for round := range createRaces {
		if found := p.judge(ctx, race.Creators(ctx, p.own, fmt.Sprintf("create/%d", round), racers)); found != nil {
			return found
		}
	}
	return ok(fmt.Sprintf("of %d writers one made each of %d objects, and all others were refused", racers, createRaces))
}

func replaceRace(ctx context.Context, p *patient) []Finding {
	const key = "replace"
	old, err := p.own[0].Create(ctx, key, unique("begin"))
	if err != nil {
		return undecided(err, "that an object can be made")
	}
	for range replaceRaces {
		outcome := race.Replacers(ctx, p.own, key, old, racers)
		if found := p.judge(ctx, outcome); found != nil {
			return found
		}
		old = outcome.Version
	}
	return ok(fmt.Sprintf("of %d writers one replaced each of %d versions, and all others were refused", racers, replaceRaces))
}

// judge tells what is wrong with a race, nil if nothing is.
func (p *patient) judge(ctx context.Context, outcome race.Outcome) []Finding {
	err := outcome.Check(ctx, p.own[0])
	switch {
	case err == nil:
		return nil
	case errors.Is(err, race.ErrManyWinners), errors.Is(err, race.ErrOther):
		p.conditions = false
		return unfit(err.Error(), lost, p.otherStore())
	}
	return undecided(err, "that of many writers exactly one wins")
}
