package driver

import (
	"context"
	"time"
)

// Describer may be implemented by a Bucket whose store can tell how it is set up, and
// what time it is there.
type Describer interface {
	// Settings asks the store for all of them. What could not be had says so itself.
	Settings(ctx context.Context) Settings
	// ServerTime is the time by the store's clock, cut off to whole seconds. It is
	// known from a refusal too. One request.
	ServerTime(ctx context.Context) (time.Time, error)
}

// Settings are what decides on an object's life beside who writes it.
type Settings struct {
	Versioning Setting[Versioning]
	Rules      Setting[[]Rule]
	Retention  Setting[Retention]
	// Public is what lets everybody in, empty if nothing does.
	Public Setting[string]
	// PublicBlocked tells that nothing can let everybody in.
	PublicBlocked Setting[bool]
	// Room is that of a directory's file system.
	Room Setting[Room]
}

// Setting is one of them. Err matches ErrDenied if the credentials may not ask, and
// errors.ErrUnsupported if such a store has no such setting. With any error, Value
// means nothing.
type Setting[T any] struct {
	Value T
	Err   error
}

// Versioning is what becomes of what was overwritten or deleted.
type Versioning struct {
	// Enabled: it becomes a non-current version.
	Enabled bool
	// Suspended: versions from before are still there.
	Suspended bool
	// SoftDelete is how long it can be had back, and is paid for; 0 is not at all.
	SoftDelete time.Duration
}

// Rule is one of a bucket's life cycle that is in force. Rules that can match no object
// of this program (such as for tags, which none has) are left out.
type Rule struct {
	ID string
	// Prefixes are of the keys that it is for; none means all.
	Prefixes []string
	// Expires tells that it deletes current objects.
	Expires bool
	// ExpiresNoncurrent tells that it deletes versions that are not current.
	ExpiresNoncurrent bool
	// MovesTo is a class to which it moves current objects, from which they can't be read
	// at once; empty for none.
	MovesTo string
	// When is its condition, for people.
	When string
}

// Retention is for how long objects are kept from deletion though nobody asked for it.
type Retention struct {
	// Versions are kept: an object can be replaced, but what it was stays.
	Versions time.Duration
	// Objects are kept: none can be replaced.
	Objects time.Duration
	// Hold: new objects are on hold, for no time that is known.
	Hold bool
}

// Room is what a directory's file system has.
type Room struct {
	FileSystem string // its type; empty if it is not known
	Network    bool   // it is another host's: its locks and links may lie
	ReadOnly   bool
	Bytes      int64 // in all
	FreeBytes  int64 // for who is not root
	Files      int64 // in all; 0 if the file system has no bound
	FreeFiles  int64
}
