package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// ParseExpires reads from when on something is not wanted any more: a time (RFC 3339), or
// one from now on, such as 720h or 30d. Nothing, and a time of 0 from now on, is never.
func ParseExpires(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), checkExpires(t, now)
	}
	from, err := blob.ParseAge(text)
	switch {
	case err != nil || from < 0:
		return time.Time{}, fmt.Errorf("%.40q is no time at which something expires: want one from now on such as 720h or 30d, or one such as 2026-11-02T15:04:05Z", text)
	case from == 0:
		return time.Time{}, nil
	}
	return now.Add(from).UTC(), nil
}

// checkExpires tells whether a time at which something expires is to come; zero is
// never.
func checkExpires(expires, now time.Time) error {
	if !expires.IsZero() && !expires.After(now) {
		return errors.New("it would have expired already")
	}
	return nil
}

// Expire removes the backups of a cell that have expired, by this host's clock, and that
// no pin keeps, and returns their names; if this is a dry run, it only returns them.
// Those that can't be read stay, and are in the error.
func (b *Backups) Expire(ctx context.Context, cell string, dryRun bool) ([]string, error) {
	s, err := b.survey(ctx, cell)
	if err != nil {
		return nil, fmt.Errorf("remove expired backups: %w", err)
	}
	expired := s.expired(time.Now())
	if dryRun {
		return namesIn(expired), s.unread
	}
	removed, err := b.removeAll(ctx, s, expired)
	return removed, errors.Join(s.unread, err)
}
