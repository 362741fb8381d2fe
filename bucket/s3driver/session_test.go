package s3driver

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// slowSession is a client that takes a second for a session.
type slowSession struct{ err error }

func (s *slowSession) Retrieve(ctx context.Context, _ string) (aws.Credentials, error) {
	select {
	case <-time.After(time.Second):
		return aws.Credentials{AccessKeyID: "of-the-session"}, nil
	case <-ctx.Done():
		s.err = ctx.Err()
		return aws.Credentials{}, ctx.Err()
	}
}

// A request that is given up while it waits for a session ends at once, and takes no other
// with it: the session that others wait for too is asked for to the end.
func TestSessionOfARequestThatIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &slowSession{}
		s := &sessions{client}
		ctx, giveUp := context.WithTimeout(t.Context(), time.Millisecond)
		defer giveUp()
		began := time.Now()
		if _, err := s.Retrieve(ctx, "bucket"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Millisecond {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if client.err != nil {
			t.Errorf("the session was given up too: %v", client.err)
		}
		if got, err := s.Retrieve(t.Context(), "bucket"); err != nil || got.AccessKeyID != "of-the-session" {
			t.Errorf("%v, %v", got.AccessKeyID, err)
		}
	})
}
