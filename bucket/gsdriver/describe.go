package gsdriver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
)

var _ driver.Describer = (*Bucket)(nil)

// ServerTime implements driver.Describer, with a listing of one key.
func (b *Bucket) ServerTime(ctx context.Context) (time.Time, error) {
	ctx, attempts := httpretry.Watch(ctx)
	list := b.handle.Objects(ctx, nil)
	list.PageInfo().MaxSize = 1
	_, err := list.Next()
	if date := attempts.Date(); !date.IsZero() {
		return date, nil
	}
	if err == nil || errors.Is(err, iterator.Done) {
		err = errors.New("the store's reply has no date")
	}
	return time.Time{}, b.listError(err)
}

// Settings implements driver.Describer. They are the bucket's attributes: one request.
// Of public access the bucket tells only whether it is prevented; who is let in is said
// by its IAM policy.
func (b *Bucket) Settings(ctx context.Context) driver.Settings {
	attrs, err := b.handle.Attrs(ctx)
	err = b.listError(err)
	s := driver.Settings{
		Versioning:    driver.Setting[driver.Versioning]{Err: err},
		Rules:         driver.Setting[[]driver.Rule]{Err: err},
		Retention:     driver.Setting[driver.Retention]{Err: err},
		Public:        driver.Setting[string]{Err: errors.ErrUnsupported},
		PublicBlocked: driver.Setting[bool]{Err: err},
		Room:          driver.Setting[driver.Room]{Err: errors.ErrUnsupported},
	}
	if err == nil {
		s.Versioning.Value = versioningOf(attrs)
		s.Rules.Value = rulesOf(attrs.Lifecycle.Rules)
		s.Retention.Value = retentionOf(attrs)
		s.PublicBlocked.Value = attrs.PublicAccessPrevention == storage.PublicAccessPreventionEnforced
	}
	return s
}

func versioningOf(attrs *storage.BucketAttrs) driver.Versioning {
	v := driver.Versioning{Enabled: attrs.VersioningEnabled}
	if attrs.SoftDeletePolicy != nil {
		v.SoftDelete = attrs.SoftDeletePolicy.RetentionDuration
	}
	return v
}

func retentionOf(attrs *storage.BucketAttrs) driver.Retention {
	r := driver.Retention{Hold: attrs.DefaultEventBasedHold}
	if attrs.RetentionPolicy != nil {
		r.Objects = attrs.RetentionPolicy.RetentionPeriod
	}
	return r
}

func rulesOf(rules []storage.LifecycleRule) []driver.Rule {
	var found []driver.Rule
	for i, rule := range rules {
		c := rule.Condition
		if c.DaysSinceCustomTime > 0 || !c.CustomTimeBefore.IsZero() {
			continue // our objects have no custom time
		}
		r := driver.Rule{ID: fmt.Sprintf("%d", i+1), Prefixes: c.MatchesPrefix, When: when(c)}
		noncurrent := c.Liveness == storage.Archived || c.NumNewerVersions > 0 || c.DaysSinceNoncurrentTime > 0 || !c.NoncurrentTimeBefore.IsZero()
		if rule.Action.Type == storage.DeleteAction {
			r.Expires = !noncurrent
			r.ExpiresNoncurrent = c.Liveness != storage.Live
		}
		// Every class of GCS can be read at once, so none of its moves matters here.
		found = append(found, r)
	}
	return found
}

// when is a rule's condition as far as it concerns current objects.
func when(c storage.LifecycleCondition) string {
	switch {
	case c.AgeInDays > 0:
		return fmt.Sprintf("after %d days", c.AgeInDays)
	case !c.CreatedBefore.IsZero():
		return "if made before " + c.CreatedBefore.UTC().Format(time.DateOnly)
	}
	return "at once"
}
