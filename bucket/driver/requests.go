package driver

import "context"

type sentKey struct{}

// CountRequests returns a context whose requests are counted: sent is called for each
// that a store may ask money for, from any goroutine, and also after the call that
// made it has returned. refused tells that the store answered with a 4xx.
func CountRequests(ctx context.Context, sent func(refused bool)) context.Context {
	return context.WithValue(ctx, sentKey{}, sent)
}

// Sent is called by what sends requests over a network, once for each try of each
// request and each page of a listing. A driver that never calls it makes one request a
// call.
func Sent(ctx context.Context, refused bool) {
	if sent, ok := ctx.Value(sentKey{}).(func(bool)); ok {
		sent(refused)
	}
}
