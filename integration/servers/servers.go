// Package servers starts the stores that tests run against: MinIO as a process of
// its own, which can be killed; versitygw, the server whose conditions are closest
// to what S3 documents, and an emulator of GCS, both inside the test's process.
//
// Each listens on a free port of the loopback interface, keeps its data in a
// directory of the test, and ends with it.
package servers

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// S3 is a running server that speaks S3's protocol.
type S3 struct {
	Endpoint  string // http://host:port, or https://
	AccessKey string
	SecretKey string
	// SessionToken is of temporary credentials; else empty.
	SessionToken string
	Region       string
	http         *http.Client // nil: the default
}

func newS3(address string) S3 {
	return S3{Endpoint: "http://" + address, AccessKey: "test-access-key", SecretKey: "test-secret-key", Region: "us-east-1", http: http.DefaultClient}
}

// UseCredentials puts the server's credentials where the AWS default chain looks
// first, for this test and the processes it starts.
func (s *S3) UseCredentials(t testing.TB) {
	t.Helper()
	for _, setting := range s.Environment() {
		t.Setenv(setting[0], setting[1])
	}
}

// Environment is what UseCredentials sets: names and values.
func (s *S3) Environment() [][2]string {
	return [][2]string{
		{"AWS_ACCESS_KEY_ID", s.AccessKey},
		{"AWS_SECRET_ACCESS_KEY", s.SecretKey},
		{"AWS_SESSION_TOKEN", s.SessionToken},
		{"AWS_PROFILE", ""},
		{"AWS_REGION", s.Region},
		{"AWS_EC2_METADATA_DISABLED", "true"},
	}
}

// Client talks to the server directly, without this project's drivers.
func (s *S3) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &s.Endpoint,
		UsePathStyle: true,
		Region:       s.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, s.SessionToken),
	}, func(o *s3.Options) {
		if s.http != nil {
			o.HTTPClient = s.http
		}
	})
}

// Sign signs a request anew that something on its way has changed.
func (s *S3) Sign(r *http.Request) error {
	credentials := aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey, SessionToken: s.SessionToken}
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).
		SignHTTP(r.Context(), credentials, r, r.Header.Get("X-Amz-Content-Sha256"), "s3", s.Region, time.Now())
}

// MakeBucket makes a bucket.
func (s *S3) MakeBucket(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := s.Client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		t.Fatalf("make the bucket %s: %v", name, err)
	}
}

// BucketURL is the URL with which a store opens a prefix of a bucket.
func (s *S3) BucketURL(bucket, prefix string) string { return S3URL(s.Endpoint, bucket, prefix) }

// S3URL is a bucket's URL at any endpoint, such as that of a proxy.
func S3URL(endpoint, bucket, prefix string) string {
	u := url.URL{Scheme: "s3", Host: bucket, Path: "/" + prefix, RawQuery: url.Values{
		"endpoint": {endpoint}, "use_path_style": {"true"}, "region": {"us-east-1"},
	}.Encode()}
	return u.String()
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// waitUntil asks a server until it is ready, and fails the test after a minute.
func waitUntil(t testing.TB, what string, ready func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not ready after a minute: %v", what, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
