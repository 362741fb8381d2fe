package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// described is a store that tells of itself.
type described struct {
	*memdriver.Bucket
	settings driver.Settings
	time     func() (time.Time, error)
}

func (d described) Settings(context.Context) driver.Settings      { return d.settings }
func (d described) ServerTime(context.Context) (time.Time, error) { return d.time() }

// reading is a bucket in memory of which only the cell may be read.
func reading() *memdriver.Bucket {
	mem := limited()
	for _, op := range []memdriver.Operation{memdriver.Create, memdriver.Replace, memdriver.Delete} {
		mem.Inject(memdriver.Fault{Operation: op, Do: memdriver.Deny})
	}
	return mem
}

// good are settings with which nothing is wrong.
func good() driver.Settings {
	s := driver.Settings{PublicBlocked: driver.Setting[bool]{Value: true}}
	s.Room.Err = errors.ErrUnsupported
	return s
}

func rules(r ...driver.Rule) driver.Setting[[]driver.Rule] {
	return driver.Setting[[]driver.Rule]{Value: r}
}

func TestSettings(t *testing.T) {
	versioned := driver.Versioning{Enabled: true}
	noncurrent := driver.Rule{ID: "old", ExpiresNoncurrent: true, Prefixes: []string{"cells/"}}
	denied := driver.ErrDenied
	for name, c := range map[string]struct {
		change func(*driver.Settings)
		want   []string
	}{
		"good":             {func(*driver.Settings) {}, nil},
		"versions pile up": {func(s *driver.Settings) { s.Versioning.Value = versioned }, []string{"versioning: warning"}},
		"versions expire":  {func(s *driver.Settings) { s.Versioning.Value, s.Rules = versioned, rules(noncurrent) }, nil},
		"others' versions": {func(s *driver.Settings) {
			s.Versioning.Value = versioned
			s.Rules = rules(driver.Rule{ExpiresNoncurrent: true, Prefixes: []string{"logs/"}})
		}, []string{"versioning: warning"}},
		"versions of some": {func(s *driver.Settings) {
			s.Versioning.Value = versioned
			s.Rules = rules(driver.Rule{ExpiresNoncurrent: true, Prefixes: []string{cell + "/log/"}})
		}, []string{"versioning: warning"}},
		"rules unread":      {func(s *driver.Settings) { s.Versioning.Value, s.Rules.Err = versioned, denied }, []string{"versioning: unread", "life cycle: unread"}},
		"versioning unread": {func(s *driver.Settings) { s.Versioning.Err = denied }, []string{"versioning: unread"}},
		"suspended":         {func(s *driver.Settings) { s.Versioning.Value.Suspended = true }, nil},
		"soft delete":       {func(s *driver.Settings) { s.Versioning.Value.SoftDelete = 7 * 24 * time.Hour }, []string{"versioning: warning"}},
		"all expires":       {func(s *driver.Settings) { s.Rules = rules(driver.Rule{Expires: true}) }, []string{"life cycle: unfit"}},
		"the cell expires": {func(s *driver.Settings) {
			s.Rules = rules(driver.Rule{Expires: true, Prefixes: []string{"x/", "cells/"}})
		}, []string{"life cycle: unfit"}},
		"some of it expires": {func(s *driver.Settings) {
			s.Rules = rules(driver.Rule{Expires: true, Prefixes: []string{cell + "/log/"}})
		}, []string{"life cycle: unfit"}},
		"a neighbour expires": {func(s *driver.Settings) {
			s.Rules = rules(driver.Rule{Expires: true, Prefixes: []string{cell + "2/", "cells/a"}})
		}, nil},
		"the cell is archived":   {func(s *driver.Settings) { s.Rules = rules(driver.Rule{MovesTo: "GLACIER"}) }, []string{"life cycle: unfit"}},
		"rules not there":        {func(s *driver.Settings) { s.Rules.Err = errors.ErrUnsupported }, nil},
		"object lock":            {func(s *driver.Settings) { s.Retention.Value.Versions = time.Hour * 24 }, []string{"retention: warning"}},
		"retention":              {func(s *driver.Settings) { s.Retention.Value.Objects = time.Hour * 24 }, []string{"retention: unfit"}},
		"hold":                   {func(s *driver.Settings) { s.Retention.Value.Hold = true }, []string{"retention: unfit"}},
		"retention unread":       {func(s *driver.Settings) { s.Retention.Err = denied }, []string{"retention: unread"}},
		"public":                 {func(s *driver.Settings) { s.Public.Value = "the policy" }, []string{"public access: unfit"}},
		"not blocked":            {func(s *driver.Settings) { s.PublicBlocked.Value = false }, []string{"public access: warning"}},
		"public access unread":   {func(s *driver.Settings) { s.PublicBlocked.Err, s.Public.Err = denied, denied }, []string{"public access: unread"}},
		"public policy unread":   {func(s *driver.Settings) { s.PublicBlocked.Err, s.Public.Err = errors.ErrUnsupported, denied }, []string{"public access: unread"}},
		"a failure is no denial": {func(s *driver.Settings) { s.Retention.Err = errors.New("500") }, []string{"retention: unread"}},
	} {
		t.Run(name, func(t *testing.T) {
			settings := good()
			c.change(&settings)
			s := storeOn(described{reading(), settings, func() (time.Time, error) { return time.Now(), nil }})
			if s.Kind = S3; name == "soft delete" {
				s.Kind = GCS
			}
			report := examine(t, s, Options{Role: Follower})
			wants(t, report, c.want...)
			for _, f := range report.Findings {
				if f.Means != "" && f.Fix == "" && f.Check != "retention" {
					t.Errorf("no fix for %+v", f)
				}
			}
		})
	}
}

// What a writer need not read, an operator must.
func TestSettingsThatAnOperatorCantRead(t *testing.T) {
	settings := good()
	settings.Versioning.Err = driver.ErrDenied
	s := storeOn(described{limited(), settings, func() (time.Time, error) { return time.Now(), nil }})
	wants(t, examine(t, s, Options{Role: Operator}), "versioning: unfit")
}

func TestRoom(t *testing.T) {
	const gib = 1 << 30
	for name, c := range map[string]struct {
		room driver.Room
		role Role
		want []string
	}{
		"good":         {driver.Room{FileSystem: "ext4", Bytes: 100 * gib, FreeBytes: 50 * gib, Files: 1e6, FreeFiles: 1e5}, Writer, nil},
		"no bound":     {driver.Room{FileSystem: "btrfs", Bytes: 100 * gib, FreeBytes: 50 * gib}, Writer, nil},
		"network":      {driver.Room{FileSystem: "nfs", Network: true, FreeBytes: 50 * gib}, Writer, []string{"room: unfit"}},
		"read-only":    {driver.Room{ReadOnly: true, FreeBytes: 50 * gib}, Writer, []string{"room: unfit"}},
		"for a reader": {driver.Room{ReadOnly: true, FreeBytes: 50 * gib}, Follower, []string{"refusal: unfit"}},
		"full":         {driver.Room{FreeBytes: 1 << 20, Bytes: gib}, Writer, []string{"room: unfit"}},
		"no inodes":    {driver.Room{FreeBytes: 50 * gib, Files: 1e6, FreeFiles: 10}, Writer, []string{"room: unfit"}},
		"little":       {driver.Room{FreeBytes: gib / 2, Bytes: gib}, Writer, []string{"room: warning"}},
	} {
		t.Run(name, func(t *testing.T) {
			settings := undescribed()
			settings.Public.Err = nil
			settings.Room = driver.Setting[driver.Room]{Value: c.room}
			s := storeOn(described{limited(), settings, func() (time.Time, error) { return time.Time{}, errors.ErrUnsupported }})
			s.Kind = Directory
			wants(t, examine(t, s, Options{Role: c.role}), c.want...)
		})
	}
	settings := undescribed()
	settings.Public = driver.Setting[string]{Value: "mode 0777"}
	s := storeOn(described{limited(), settings, func() (time.Time, error) { return time.Time{}, errors.ErrUnsupported }})
	s.Kind = Directory
	wants(t, examine(t, s, Options{}), "public access: warning")
}

func TestClock(t *testing.T) {
	for _, c := range []struct {
		off  time.Duration // of the store's clock
		want []string
	}{
		{0, nil},
		{2 * time.Second, nil}, // cut off to the second, so 1 s is not seen
		{-2 * time.Second, nil},
		{10 * time.Second, []string{"clock: warning"}},
		{-10 * time.Second, []string{"clock: warning"}},
		{6 * time.Minute, []string{"clock: unfit"}},
		{-6 * time.Minute, []string{"clock: unfit"}},
	} {
		s := storeOn(described{reading(), good(), func() (time.Time, error) { return time.Now().Add(c.off).Truncate(time.Second), nil }})
		report := examine(t, s, Options{Role: Follower, LeaseTTL: 30 * time.Second})
		wants(t, report, c.want...)
		if f := find(t, report, "clock")[0]; c.want != nil && strings.Contains(f.Found, "behind") != (c.off > 0) {
			t.Errorf("%v: %s", c.off, f.Found)
		}
	}
	s := storeOn(described{limited(), good(), func() (time.Time, error) { return time.Time{}, errors.New("no date") }})
	wants(t, examine(t, s, Options{}), "clock: unread")
	// The clock may be why everything is refused.
	mem := memdriver.New()
	mem.Inject(memdriver.Fault{Operation: memdriver.List, Do: memdriver.Deny})
	s = storeOn(described{mem, good(), func() (time.Time, error) { return time.Now().Add(time.Hour), nil }})
	wants(t, examine(t, s, Options{}), "reach: unfit", "clock: unfit")
}
