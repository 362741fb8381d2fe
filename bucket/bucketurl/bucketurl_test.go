package bucketurl_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
)

func TestParse(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for rawURL, want := range map[string]bucketurl.Location{
		"file:///var/lib/store":           {Scheme: "file", Bucket: "/var/lib/store"},
		"file:///var/lib/store/":          {Scheme: "file", Bucket: "/var/lib/store"},
		"file:///with%20space":            {Scheme: "file", Bucket: "/with space"},
		"file:///odd%3f%23%25%0a":         {Scheme: "file", Bucket: "/odd?#%\n"},
		"file://localhost/var":            {Scheme: "file", Bucket: "/var"},
		"file://./data":                   {Scheme: "file", Bucket: here + "/data"},
		"file://../data":                  {Scheme: "file", Bucket: filepath.Dir(here) + "/data"},
		"s3://b":                          {Scheme: "s3", Bucket: "b"},
		"s3://b/":                         {Scheme: "s3", Bucket: "b"},
		"s3://b/cells/prod/?region=eu":    {Scheme: "s3", Bucket: "b", Prefix: "cells/prod"},
		"s3://dotted.name.with-dash/x?":   {Scheme: "s3", Bucket: "dotted.name.with-dash", Prefix: "x"},
		"s3://b/odd%3f%23%25":             {Scheme: "s3", Bucket: "b", Prefix: "odd?#%"},
		"gs://under_score/a%20b":          {Scheme: "gs", Bucket: "under_score", Prefix: "a b"},
		"mem://name":                      {Scheme: "mem", Bucket: "name"},
		"s3://b/p?endpoint=http://h:9000": {Scheme: "s3", Bucket: "b", Prefix: "p"},
	} {
		got, err := bucketurl.Parse(rawURL)
		if err != nil {
			t.Errorf("%s: %v", rawURL, err)
			continue
		}
		if got.Scheme != want.Scheme || got.Bucket != want.Bucket || got.Prefix != want.Prefix {
			t.Errorf("%s: %+v", rawURL, got)
		}
		if again, err := bucketurl.Parse(got.String()); err != nil || again.Bucket != got.Bucket || again.Prefix != got.Prefix {
			t.Errorf("%s prints as %s, which is read as %+v, %v", rawURL, got, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for rawURL, says := range map[string]string{
		"":                                       "no scheme",
		"/var/lib/store":                         "no scheme",
		"bucket":                                 "no scheme",
		"http://host/bucket":                     `scheme "http" is not known`,
		"S3://b":                                 "is not known",
		"s3://":                                  "names no bucket",
		"s3:///prefix":                           "names no bucket",
		"gs://?anonymous=true":                   "names no bucket",
		"s3://127.0.0.1:9000/bucket":             "endpoint=http://127.0.0.1:9000",
		"s3://b/a//b":                            "cannot be before a key",
		"s3://b/../x":                            "cannot be before a key",
		"s3://b/p#fragment":                      "cannot be read",
		"s3://b/p?a=%zz":                         "parameters cannot be read",
		"file://":                                "names no directory",
		"file:///a%00b":                          "zero byte",
		"file://data/x":                          "file://./data/x",
		"file:///x?create_dir=true":              "no parameters",
		"mem://":                                 "mem://name",
		"mem://a/b":                              "mem://name",
		"mem://a?x=1":                            "no parameters",
		"s3://AKIA:hush@b/p":                     "AWS_ACCESS_KEY_ID",
		"s3://hush@b/p":                          "credentials before an @",
		"s3://AKIA:hu/sh@b/p":                    "cannot be read",
		"s3://AKIA:hush+x@b:p/p":                 "cannot be read",
		"s3://AKIA:1234/sh@b/p":                  "credentials before an @",
		"gs://hush@b/p":                          "GOOGLE_APPLICATION_CREDENTIALS",
		"s3://b/p?secret_access_key=hush":        "would hold a credential",
		"s3://b/p?AWSSecretAccessKey=hush":       "would hold a credential",
		"s3://b/p?session-token=hush":            "would hold a credential",
		"s3://b/p?X-Amz-Signature=hush":          "would hold a credential",
		"s3://b/p?access_key=hush":               "would hold a credential",
		"gs://b/p?private_key_path=hush":         "would hold a credential",
		"gs://b/p?access_id=hush":                "would hold a credential",
		"s3://b/p?password=hush":                 "would hold a credential",
		"s3://b/p?region=us-east-1&nope=hush":    "", // left to the driver
		"s3://b/p?endpoint=http://u:hush@h:9000": "",
	} {
		_, err := bucketurl.Parse(rawURL)
		if says == "" {
			if err != nil {
				t.Errorf("%q: %v", rawURL, err)
			}
			_, err = bucketurl.Open(t.Context(), rawURL, bucketurl.Options{})
		} else if !errors.Is(err, bucketurl.ErrURL) {
			t.Errorf("%q: error %v is not ErrURL", rawURL, err)
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v does not say %q", rawURL, err, says)
		} else if strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "hu/sh") || strings.Contains(err.Error(), ":1234") {
			t.Errorf("%q: the error quotes a secret: %v", rawURL, err)
		}
	}
}

// withCredentials gives the AWS default chain something to find, and nothing else.
func withCredentials(t *testing.T) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hush")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
}

func TestOpenRefusesParameters(t *testing.T) {
	withCredentials(t)
	for rawURL, says := range map[string]string{
		"s3://b/p?region=us-east-1&nope=1":                  `unknown parameter "nope"; known are accelerate`,
		"s3://b/p?region=a&region=b":                        "given 2 times",
		"s3://b/p?region=a&use_path_style=perhaps":          "true or false",
		"s3://b/p?region=a&endpoint=127.0.0.1:9000":         "must be like http://",
		"s3://b/p?region=a&endpoint=ftp://h":                "must be like http://",
		"s3://b/p?region=a&ssetype=rot13":                   "AES256",
		"s3://b/p?region=a&rate_limiter_capacity=5":         "unknown parameter",
		"s3://b/p?region=a&request_checksum_calculation=no": "request_checksum_calculation",
		"s3://b/p?region=a&anonymous=x":                     "true or false",
		"s3://b/p":                                          "no region",
		"gs://b/p?nope=1":                                   `unknown parameter "nope"; known are anonymous`,
		"gs://b/p?grpc=true":                                "unknown parameter",
		"gs://b/p?anonymous=x":                              "true or false",
	} {
		if _, err := bucketurl.Open(t.Context(), rawURL, bucketurl.Options{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v does not say %q", rawURL, err, says)
		}
	}
}

func TestMissingCredentialsAreDenied(t *testing.T) {
	withCredentials(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, err := bucketurl.Open(t.Context(), "s3://b/p?region=us-east-1", bucketurl.Options{})
	if !errors.Is(err, bucket.ErrDenied) || !strings.Contains(err.Error(), "set AWS_ACCESS_KEY_ID") {
		t.Errorf("s3: error %v", err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "none"))
	_, err = bucketurl.Open(t.Context(), "gs://b/p", bucketurl.Options{})
	if !errors.Is(err, bucket.ErrDenied) || !strings.Contains(err.Error(), "set GOOGLE_APPLICATION_CREDENTIALS") {
		t.Errorf("gs: error %v", err)
	}
}

// TestOpenAsksTheStore: whatever is wrong with the bucket is known at once.
func TestOpenAsksTheStore(t *testing.T) {
	withCredentials(t)
	for code, test := range map[string]struct {
		status int
		is     error
		says   string
	}{
		"NoSuchBucket":          {404, bucket.ErrNoBucket, "no such bucket"},
		"AccessDenied":          {403, bucket.ErrDenied, "access denied"},
		"InvalidAccessKeyId":    {403, bucket.ErrDenied, "InvalidAccessKeyId"},
		"SignatureDoesNotMatch": {403, bucket.ErrDenied, "SignatureDoesNotMatch"},
		"ExpiredToken":          {400, bucket.ErrDenied, "ExpiredToken"},
		"PermanentRedirect":     {301, nil, "region="},
		"NotS3":                 {404, nil, "does not answer like S3"},
		"SlowDown":              {503, nil, "SlowDown"},
	} {
		store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte("<Error><Code>" + code + "</Code><Message>m</Message></Error>"))
		}))
		_, err := bucketurl.Open(t.Context(), "s3://b/p?region=us-east-1&use_path_style=true&endpoint="+store.URL, bucketurl.Options{RetryFor: 100 * time.Millisecond})
		store.Close()
		if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) ||
			!strings.Contains(err.Error(), "open s3://b/p: ") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: error %v", code, err)
		}
		for _, sentinel := range []error{bucket.ErrDenied, bucket.ErrNoBucket, bucket.ErrNotExist} {
			if sentinel != test.is && errors.Is(err, sentinel) {
				t.Errorf("%s: error %v is also %v", code, err, sentinel)
			}
		}
	}
}

func TestMemoryIsSharedByName(t *testing.T) {
	registry := prometheus.NewRegistry()
	open := func(rawURL string) *bucket.Bucket {
		b, err := bucketurl.Open(t.Context(), rawURL, bucketurl.Options{Registerer: registry}) // twice, with one registry
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	name := "mem://" + t.Name()
	one, same, other := open(name), open(name), open(name+"-other")
	if _, err := one.Create(t.Context(), "k", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := same.Get(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Get(t.Context(), "k"); !errors.Is(err, bucket.ErrNotExist) {
		t.Fatalf("error %v", err)
	}
}

func TestOpenMakesADirectory(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "a", "b")
	b, err := bucketurl.Open(t.Context(), "file://"+directory, bucketurl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Create(t.Context(), "cells/prod/cell.json", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(directory, "cells", "prod", "cell.json")); err != nil {
		t.Fatal(err)
	}
	if b.Name() != "file://"+directory {
		t.Fatalf("the name is %s", b.Name())
	}
}

// A bucket that has something in it opens as an empty one does; what is no URL opens
// nothing, and says so without what may be a secret.
func TestOpenOfWhatIsThereAndOfNothing(t *testing.T) {
	url := "file://" + t.TempDir()
	for range 2 {
		b, err := bucketurl.Open(t.Context(), url, bucketurl.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Create(t.Context(), "k", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	for rawURL, says := range map[string]string{
		"nonsense":                    "",
		"file://user:c2VjcmV0@/store": "none are needed",
	} {
		b, err := bucketurl.Open(t.Context(), rawURL, bucketurl.Options{})
		if b != nil || !errors.Is(err, bucketurl.ErrURL) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s: %v", rawURL, err)
		}
	}
}
