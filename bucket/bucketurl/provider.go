package bucketurl

import (
	"net/url"
	"os"
	"strings"

	"github.com/scheduler-store/scheduler-store/bucket/s3driver"
)

// Provider is whose list prices the requests to a bucket are billed by, as package cost
// names them. It is empty where they cost nothing as far as can be seen: in memory, in a
// directory, at an endpoint that is not Amazon's, at an emulator.
func (l Location) Provider() string {
	switch {
	case l.Scheme == "s3" && !amazon(l.endpoint()):
		return ""
	case l.Scheme == "s3" && s3driver.IsDirectoryBucket(l.Bucket):
		return "s3express"
	case l.Scheme == "s3":
		return "s3"
	case l.Scheme == "gs" && os.Getenv("STORAGE_EMULATOR_HOST") == "":
		return "gcs"
	}
	return ""
}

// endpoint is where the S3 client sends requests, empty for Amazon's own place.
func (l Location) endpoint() string {
	for _, endpoint := range []string{l.Parameters.Get("endpoint"), os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL")} {
		if endpoint != "" {
			return endpoint
		}
	}
	return ""
}

func amazon(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return endpoint == "" || err == nil && strings.HasSuffix(u.Hostname(), ".amazonaws.com")
}
