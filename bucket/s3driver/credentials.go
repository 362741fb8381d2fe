package s3driver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
)

const (
	// refreshEarly is how long before credentials end new ones are asked for, or half of
	// their life if that is shorter. The metadata service has new ones five minutes before
	// ("Retrieve security credentials from instance metadata", EC2 User Guide).
	refreshEarly = 5 * time.Minute
	// refreshPause is after a try that failed, refreshRest after one that did not.
	refreshPause = 10 * time.Second
	refreshRest  = time.Second
	// askTimeout bounds each request for credentials. The client has no such bound, and
	// while one request hangs it makes no other.
	askTimeout = 5 * time.Second
)

// refreshed hands out credentials, and gets new ones while the old ones are good.
//
// The client's own cache asks for new ones when the old ones have ended (of a role) or
// five minutes before (of a container), and lets all requests wait for the answer, and
// fail with it. A lease can't wait for another service that is slow for a moment.
type refreshed struct {
	source *aws.CredentialsCache

	mu        sync.Mutex
	current   aws.Credentials
	refreshAt time.Time     // when the next try is due
	err       error         // of the last try
	underWay  chan struct{} // closed at its end; nil if no try is
}

var _ aws.CredentialsProvider = (*refreshed)(nil)

func refresh(provider aws.CredentialsProvider) *refreshed {
	source, ok := provider.(*aws.CredentialsCache)
	if !ok {
		source = aws.NewCredentialsCache(provider)
	}
	return &refreshed{source: source}
}

// Retrieve implements aws.CredentialsProvider. It waits only if there are none that are
// good.
func (r *refreshed) Retrieve(ctx context.Context) (aws.Credentials, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.current.HasKeys() && !r.current.CanExpire {
		return r.current, nil
	}
	if r.underWay == nil && !now.Before(r.refreshAt) {
		r.underWay = make(chan struct{})
		go r.try(context.WithoutCancel(ctx), r.underWay) // ends with its requests, see askTimeout
	}
	if r.current.HasKeys() && now.Before(r.current.Expires) {
		return r.current, nil
	}
	if done := r.underWay; done != nil {
		r.mu.Unlock()
		var err error
		select {
		case <-done:
		case <-ctx.Done():
			err = fmt.Errorf("wait for credentials: %w", ctx.Err())
		}
		r.mu.Lock()
		if err != nil {
			return aws.Credentials{}, err
		}
	}
	if r.err != nil {
		return aws.Credentials{}, r.err
	}
	return r.current, nil
}

func (r *refreshed) try(ctx context.Context, done chan struct{}) {
	r.source.Invalidate() // it would give the old ones
	got, err := r.source.Retrieve(ctx)

	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(done)
	now := time.Now()
	r.underWay, r.err, r.refreshAt = nil, err, now.Add(refreshPause)
	switch {
	case err == nil:
		life := got.Expires.Sub(now)
		r.current, r.refreshAt = got, now.Add(max(life-refreshEarly, life/2, refreshRest))
	case r.current.Source == ec2rolecreds.ProviderName:
		// AWS wants credentials of the metadata service to be used beyond their end while
		// there are no new ones: it lengthens their life when that service is in trouble.
		r.err = nil
	}
}
