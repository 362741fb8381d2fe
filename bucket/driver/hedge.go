package driver

import "context"

// Hedgeable may be implemented by a Bucket to say whether its store takes it well
// when a request that is slow is sent once more while the first is on its way.
// One that does not implement it does not: GCS takes about one change of one
// object a second, and answers contended creates with 429; a directory or memory
// only gets slower by it.
type Hedgeable interface {
	Hedgeable() bool
}

type freshKey struct{}

// OnFreshConnection returns a context whose requests each go over a connection
// that no other request used. What is slow may be the connection, or the server
// behind it. Drivers without connections ignore it.
func OnFreshConnection(ctx context.Context) context.Context {
	return context.WithValue(ctx, freshKey{}, true)
}

// WantsFreshConnection says whether the context is one of OnFreshConnection.
func WantsFreshConnection(ctx context.Context) bool { return ctx.Value(freshKey{}) != nil }
