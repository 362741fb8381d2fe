package s3driver

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

// sessions are those with a directory bucket. The client makes them; this corrects two
// things, without which a denial looks like an outage, and a request may fail because
// another was given up:
//   - of an error it keeps the text only, so that nobody can see what the store said;
//   - many requests wait for one session, which is asked for with the context of one.
type sessions struct {
	client s3.ExpressCredentialsProvider
}

// withSessions returns the client with its sessions corrected.
func withSessions(client *s3.Client) *s3.Client {
	return s3.New(client.Options(), func(o *s3.Options) {
		o.ExpressCredentials = &sessions{o.ExpressCredentials}
		o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("SessionErrors", keepSessionError), middleware.Before)
		})
	})
}

// Retrieve implements s3.ExpressCredentialsProvider.
func (s *sessions) Retrieve(ctx context.Context, bucket string) (aws.Credentials, error) {
	type answer struct {
		credentials aws.Credentials
		err         error
	}
	answered := make(chan answer, 1)
	go func() { // ends when httpretry gives up, at the latest
		credentials, err := s.client.Retrieve(context.WithoutCancel(ctx), bucket)
		answered <- answer{credentials, err}
	}()
	var got answer
	select {
	case got = <-answered:
	case <-ctx.Done():
		got.err = ctx.Err()
	}
	if lost, ok := ctx.Value(sessionErrorKey{}).(*error); ok {
		*lost = got.err
	}
	return got.credentials, got.err
}

type sessionErrorKey struct{}

// keepSessionError puts the error of a session into that of the request.
func keepSessionError(ctx context.Context, input middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	var lost error
	output, metadata, err := next.HandleInitialize(context.WithValue(ctx, sessionErrorKey{}, &lost), input)
	if err != nil && lost != nil {
		err = fmt.Errorf("get a session with the directory bucket: %w", lost)
	}
	return output, metadata, err
}
