package stores_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// MinIO locks a key for as long as a conditional PUT to it is on its way, against readers
// too. So a leader that stops, or is cut off, in the middle of a body holds up the next
// one, which has to know whether there is an entry at that key, until MinIO gives up the
// connection: after MINIO_IDLE_TIMEOUT, which is 30 s unless it is set. Nothing is wrong
// then, but a fail-over takes that long.
func TestHalfAPutLocksItsKeyOnMinIO(t *testing.T) {
	const idle = 3 * time.Second
	t.Setenv("MINIO_IDLE_TIMEOUT", idle.String())
	minio := servers.StartMinIO(t)
	minio.UseCredentials(t)
	minio.MakeBucket(t, bucketName)
	b, err := bucketurl.Open(t.Context(), minio.BucketURL(bucketName, ""), bucketurl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()

	const body = "half of this is never sent"
	signed, err := s3.NewPresignClient(minio.Client()).PresignPutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucketName), Key: aws.String("entry"), IfNoneMatch: aws.String("*"), ContentLength: aws.Int64(int64(len(body)))})
	if err != nil {
		t.Fatal(err)
	}
	connection, err := net.Dial("tcp", strings.TrimPrefix(minio.Endpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	request, err := http.NewRequest(signed.Method, signed.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = signed.SignedHeader
	fmt.Fprintf(connection, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", request.URL.RequestURI(), request.URL.Host, len(body))
	for name, values := range request.Header {
		if name != "Host" && name != "Content-Length" {
			fmt.Fprintf(connection, "%s: %s\r\n", name, values[0])
		}
	}
	fmt.Fprintf(connection, "\r\n%s", body[:len(body)/2])
	time.Sleep(200 * time.Millisecond) // until MinIO has the request

	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*idle)
	defer cancel()
	if _, err := b.Get(ctx, "entry"); !errors.Is(err, bucket.ErrNotExist) {
		t.Fatalf("after %v: %v; want that there is none", time.Since(start), err)
	}
	took := time.Since(start)
	t.Logf("a GET of the key took %v", took)
	if took < idle/2 {
		t.Error("MinIO does not lock the key any more: then docs/architecture.md need not say so")
	}
	if took > 2*idle {
		t.Errorf("MINIO_IDLE_TIMEOUT of %v is not what ends it", idle)
	}
}
