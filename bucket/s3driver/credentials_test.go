package s3driver

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
)

var errOutage = errors.New("the service that gives credentials is down")

// issuer gives credentials that live for a while, named by a number.
type issuer struct {
	life   time.Duration // zero: for ever
	source string

	mu    sync.Mutex
	n     int
	asked int
	slow  time.Duration
	err   error
}

func (i *issuer) Retrieve(ctx context.Context) (aws.Credentials, error) {
	i.mu.Lock()
	i.asked++
	slow := i.slow
	i.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return aws.Credentials{}, ctx.Err()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return aws.Credentials{}, i.err
	}
	i.n++
	return aws.Credentials{AccessKeyID: strconv.Itoa(i.n), SecretAccessKey: "s", Source: i.source,
		CanExpire: i.life != 0, Expires: time.Now().Add(i.life)}, nil
}

func (i *issuer) is(slow time.Duration, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.slow, i.err = slow, err
}

func wantCredentials(t *testing.T, r *refreshed, want string, within time.Duration) {
	t.Helper()
	began := time.Now()
	got, err := r.Retrieve(t.Context())
	if err != nil || got.AccessKeyID != want || time.Since(began) > within {
		t.Errorf("got the credentials %q after %v, error %v; want %q within %v", got.AccessKeyID, time.Since(began), err, want, within)
	}
}

// Requests never wait for new credentials while the old ones are good, however slow or
// broken what gives them is, and get the new ones when they are there.
func TestCredentialsAreRefreshedBeforeTheyEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: time.Hour}
		r := refresh(i)
		wantCredentials(t, r, "1", 0)
		time.Sleep(54 * time.Minute)
		wantCredentials(t, r, "1", 0)
		synctest.Wait()
		wantCredentials(t, r, "1", 0) // nobody asked for new ones yet
		i.is(3*time.Second, nil)
		time.Sleep(time.Minute)
		for range 3 {
			wantCredentials(t, r, "1", 0)
		}
		time.Sleep(4 * time.Second)
		wantCredentials(t, r, "2", 0)
		if i.asked != 2 {
			t.Errorf("asked %d times for credentials, want 2", i.asked)
		}
	})
}

func TestCredentialsOutliveAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: time.Hour}
		r := refresh(i)
		wantCredentials(t, r, "1", 0)
		i.is(0, errOutage)
		for range 59 * 60 {
			time.Sleep(time.Second)
			wantCredentials(t, r, "1", 0)
		}
		synctest.Wait()
		if i.asked < 10 || i.asked > 30 {
			t.Errorf("asked %d times in the last five minutes; want once in some ten seconds", i.asked)
		}
		time.Sleep(2 * time.Minute) // now they have ended
		for range 2 {
			if _, err := r.Retrieve(t.Context()); !errors.Is(err, errOutage) {
				t.Errorf("with credentials that have ended: %v", err)
			}
		}
		i.is(0, nil)
		time.Sleep(refreshPause)
		wantCredentials(t, r, "2", time.Second)
	})
}

// A service that does not answer stops nobody beyond the own context, and when it answers
// that is for all.
func TestCredentialsThatDoNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: time.Hour}
		i.is(15*time.Second, nil)
		r := refresh(i)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := r.Retrieve(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		wantCredentials(t, r, "1", 14*time.Second)
		if i.asked != 1 {
			t.Errorf("asked %d times", i.asked)
		}
	})
}

// AWS wants those of the metadata service to be used while it has no new ones.
func TestCredentialsOfTheMetadataServiceAreUsedBeyondTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: time.Hour, source: ec2rolecreds.ProviderName}
		r := refresh(i)
		wantCredentials(t, r, "1", 0)
		i.is(0, errOutage)
		time.Sleep(2 * time.Hour)
		wantCredentials(t, r, "1", 0)
		i.is(0, nil)
		time.Sleep(refreshPause)
		wantCredentials(t, r, "2", 0)
	})
}

func TestCredentialsWithoutAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{}
		r := refresh(aws.NewCredentialsCache(i))
		for range 3 {
			wantCredentials(t, r, "1", 0)
			time.Sleep(1000 * time.Hour)
		}
	})
}

// Credentials that live for a short time are asked for after half of it.
func TestCredentialsOfAShortLife(t *testing.T) {
	for _, life := range []time.Duration{4 * time.Minute, 4 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			i := &issuer{life: life}
			r := refresh(i)
			wantCredentials(t, r, "1", 0)
			time.Sleep(life/2 - time.Millisecond)
			wantCredentials(t, r, "1", 0)
			synctest.Wait()
			wantCredentials(t, r, "1", 0)
			time.Sleep(time.Millisecond)
			wantCredentials(t, r, "1", 0)
			synctest.Wait()
			wantCredentials(t, r, "2", 0)
		})
	}
}

// Credentials that come ended, as those of a container do to the client for their last
// five minutes, are used, and others asked for once a second.
func TestCredentialsThatHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: -time.Minute}
		r := refresh(i)
		for n := 1; n < 4; n++ {
			for range 3 {
				wantCredentials(t, r, strconv.Itoa(n), 0)
			}
			time.Sleep(refreshRest)
		}
	})
}

// A request for credentials that hangs ends by itself.
func TestRequestsForCredentialsAreBounded(t *testing.T) {
	s := &settings{region: "us-east-1", anonymous: true}
	configuration, err := s.load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, ok := configuration.HTTPClient.(*awshttp.BuildableClient)
	if !ok || client.GetTimeout() != askTimeout {
		t.Errorf("requests for credentials are made by %T, which waits as it likes", configuration.HTTPClient)
	}
}
