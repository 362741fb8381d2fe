package s3driver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
)

var _ driver.Describer = (*Bucket)(nil)

// ServerTime implements driver.Describer, with a listing of one key.
func (b *Bucket) ServerTime(ctx context.Context) (time.Time, error) {
	ctx, attempts := httpretry.Watch(ctx)
	_, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b.name, MaxKeys: aws.Int32(1)})
	if date := attempts.Date(); !date.IsZero() {
		return date, nil
	}
	if err == nil {
		err = errors.New("the store's reply has no date")
	}
	return time.Time{}, listError(err)
}

// Settings implements driver.Describer. Six requests; one of a directory bucket.
func (b *Bucket) Settings(ctx context.Context) driver.Settings {
	if b.isDirectory {
		settings := directorySettings()
		settings.Rules = ask(ctx, b, "NoSuchLifecycleConfiguration", b.rules)
		return settings
	}
	return driver.Settings{
		Versioning:    ask(ctx, b, "", b.versioning),
		Rules:         ask(ctx, b, "NoSuchLifecycleConfiguration", b.rules),
		Retention:     ask(ctx, b, "ObjectLockConfigurationNotFoundError", b.retention),
		Public:        ask(ctx, b, "NoSuchBucketPolicy", b.public),
		PublicBlocked: ask(ctx, b, "NoSuchPublicAccessBlockConfiguration", b.publicBlocked),
		Room:          driver.Setting[driver.Room]{Err: errors.ErrUnsupported},
	}
}

// ask maps what the question for a setting ended with; none is the code that says that
// it was never set.
func ask[T any](ctx context.Context, b *Bucket, none string, question func(context.Context) (T, error)) driver.Setting[T] {
	value, err := question(ctx)
	a := answerOf(err)
	switch {
	case err == nil:
		return driver.Setting[T]{Value: value}
	case none != "" && a.code == none:
		return driver.Setting[T]{}
	case a.status == http.StatusNotImplemented, a.status == http.StatusMethodNotAllowed, a.code == "NotImplemented":
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	default:
		err = readError(err)
	}
	return driver.Setting[T]{Err: err}
}

func (b *Bucket) versioning(ctx context.Context) (v driver.Versioning, err error) {
	output, err := b.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &b.name})
	if err != nil {
		return v, err
	}
	v.Enabled = output.Status == types.BucketVersioningStatusEnabled
	v.Suspended = output.Status == types.BucketVersioningStatusSuspended
	return v, nil
}

func (b *Bucket) rules(ctx context.Context) ([]driver.Rule, error) {
	output, err := b.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &b.name})
	if err != nil {
		return nil, err
	}
	var rules []driver.Rule
	for _, rule := range output.Rules {
		if r, matches := ruleOf(rule); matches {
			rules = append(rules, r)
		}
	}
	return rules, nil
}

// ruleOf tells what a rule does, and whether it can match objects of this driver, which
// have no tags.
func ruleOf(rule types.LifecycleRule) (r driver.Rule, matches bool) {
	prefix := aws.ToString(rule.Prefix) //lint:ignore SA1019 rules of before 2016, and of some servers, have it
	if f := rule.Filter; f != nil {
		if f.Tag != nil || f.And != nil && len(f.And.Tags) > 0 {
			return r, false
		}
		if f.Prefix != nil {
			prefix = *f.Prefix
		}
		if f.And != nil && f.And.Prefix != nil {
			prefix = *f.And.Prefix
		}
	}
	r.ID = aws.ToString(rule.ID)
	if prefix != "" {
		r.Prefixes = []string{prefix}
	}
	if e := rule.Expiration; e != nil && (e.Date != nil || aws.ToInt32(e.Days) > 0) {
		r.Expires = true
		if r.When = fmt.Sprintf("after %d days", aws.ToInt32(e.Days)); e.Date != nil {
			r.When = "from " + e.Date.UTC().Format(time.DateOnly) + " on"
		}
	}
	r.ExpiresNoncurrent = rule.NoncurrentVersionExpiration != nil
	for _, t := range rule.Transitions {
		switch t.StorageClass {
		case types.TransitionStorageClassGlacier, types.TransitionStorageClassDeepArchive:
			r.MovesTo = string(t.StorageClass)
		}
	}
	return r, rule.Status == types.ExpirationStatusEnabled
}

func (b *Bucket) retention(ctx context.Context) (r driver.Retention, err error) {
	output, err := b.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &b.name})
	if err != nil {
		return r, err
	}
	if c := output.ObjectLockConfiguration; c != nil && c.Rule != nil && c.Rule.DefaultRetention != nil {
		days := aws.ToInt32(c.Rule.DefaultRetention.Days) + 365*aws.ToInt32(c.Rule.DefaultRetention.Years)
		r.Versions = time.Duration(days) * 24 * time.Hour
	}
	return r, nil
}

func (b *Bucket) public(ctx context.Context) (string, error) {
	output, err := b.client.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: &b.name})
	if err != nil || output.PolicyStatus == nil || !aws.ToBool(output.PolicyStatus.IsPublic) {
		return "", err
	}
	return "the bucket's policy", nil
}

func (b *Bucket) publicBlocked(ctx context.Context) (bool, error) {
	output, err := b.client.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &b.name})
	if err != nil {
		return false, err
	}
	c := output.PublicAccessBlockConfiguration
	return c != nil && aws.ToBool(c.BlockPublicAcls) && aws.ToBool(c.BlockPublicPolicy) &&
		aws.ToBool(c.IgnorePublicAcls) && aws.ToBool(c.RestrictPublicBuckets), nil
}
