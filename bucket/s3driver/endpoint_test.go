package s3driver_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
	"github.com/scheduler-store/scheduler-store/bucket/s3driver"
)

// wire keeps the requests, and answers each in the store's place.
type wire struct {
	requests []*http.Request
	bodies   []string
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	w.requests, w.bodies = append(w.requests, r), append(w.bodies, string(body))
	answer := `<ListBucketResult/>`
	if r.URL.Query().Has("session") {
		answer = `<CreateSessionResult><Credentials><SessionToken>session</SessionToken><SecretAccessKey>s</SecretAccessKey>` +
			`<AccessKeyId>of-the-session</AccessKeyId><Expiration>` + time.Now().Add(5*time.Minute).UTC().Format(time.RFC3339) +
			`</Expiration></Credentials></CreateSessionResult>`
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Etag": {`"e"`}}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// through is one try by the wire.
func through(w *wire) httpretry.Options {
	return httpretry.Options{Base: w, RetryFor: time.Millisecond}
}

// ask opens a bucket and asks for one listing.
func ask(t *testing.T, name, parameters string) (*wire, error) {
	t.Helper()
	values, err := url.ParseQuery(parameters)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{}
	b, err := s3driver.Open(t.Context(), name, values, through(w))
	if err != nil {
		return w, err
	}
	defer b.Close()
	for _, err := range b.List(t.Context(), "cells/prod/log/", "cells/prod/log/1") {
		return w, err
	}
	return w, nil
}

// noEnvironment leaves the AWS default chain what a test gives it.
func noEnvironment(t *testing.T) {
	t.Helper()
	for _, setting := range os.Environ() {
		if name, _, _ := strings.Cut(setting, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
}

const profiles = `
[default]
region = eu-north-1
[profile other]
region = eu-west-3
endpoint_url = https://store.example
aws_access_key_id = of-the-profile
aws_secret_access_key = s
s3 =
  addressing_style = path
[profile fips]
region = us-west-2
use_fips_endpoint = true
`

// TestWhereRequestsGo is the table of docs/stores.md: what the URL, the environment and
// the profile make of the address.
func TestWhereRequestsGo(t *testing.T) {
	directory := "b--use1-az4--x-s3"
	for name, test := range map[string]struct {
		bucket, parameters string
		environment        [2]string
		want               string // how the last request's URL begins
		refused            string // or what the error says
	}{
		"region":             {"bucket", "region=us-east-2", [2]string{}, "https://bucket.s3.us-east-2.amazonaws.com/?", ""},
		"region of env":      {"bucket", "", [2]string{"AWS_REGION", "ap-south-1"}, "https://bucket.s3.ap-south-1.amazonaws.com/?", ""},
		"region of profile":  {"bucket", "", [2]string{}, "https://bucket.s3.eu-north-1.amazonaws.com/?", ""},
		"URL before env":     {"bucket", "region=us-east-2", [2]string{"AWS_REGION", "ap-south-1"}, "https://bucket.s3.us-east-2.amazonaws.com/?", ""},
		"path style":         {"bucket", "region=us-east-2&use_path_style=true", [2]string{}, "https://s3.us-east-2.amazonaws.com/bucket?", ""},
		"dots":               {"b.example", "region=us-east-2", [2]string{}, "https://s3.us-east-2.amazonaws.com/b.example?", ""},
		"fips":               {"bucket", "region=us-east-2&fips=true", [2]string{}, "https://bucket.s3-fips.us-east-2.amazonaws.com/?", ""},
		"fips of env":        {"bucket", "region=us-east-2", [2]string{"AWS_USE_FIPS_ENDPOINT", "true"}, "https://bucket.s3-fips.us-east-2.amazonaws.com/?", ""},
		"fips of profile":    {"bucket", "", [2]string{"AWS_PROFILE", "fips"}, "https://bucket.s3-fips.us-west-2.amazonaws.com/?", ""},
		"dualstack":          {"bucket", "region=us-east-2&dualstack=true", [2]string{}, "https://bucket.s3.dualstack.us-east-2.amazonaws.com/?", ""},
		"dualstack of env":   {"bucket", "region=us-east-2", [2]string{"AWS_USE_DUALSTACK_ENDPOINT", "true"}, "https://bucket.s3.dualstack.us-east-2.amazonaws.com/?", ""},
		"fips and dualstack": {"bucket", "region=us-east-2&fips=true&dualstack=true", [2]string{}, "https://bucket.s3-fips.dualstack.us-east-2.amazonaws.com/?", ""},
		"accelerate":         {"bucket", "region=us-east-2&accelerate=true", [2]string{}, "https://bucket.s3-accelerate.amazonaws.com/?", ""},
		"endpoint":           {"bucket", "region=x&endpoint=http://store.example:9000", [2]string{}, "http://bucket.store.example:9000/?", ""},
		"endpoint, path":     {"bucket", "region=x&endpoint=http://store.example:9000&use_path_style=true", [2]string{}, "http://store.example:9000/bucket?", ""},
		"endpoint, address":  {"bucket", "region=x&endpoint=http://127.0.0.1:9000", [2]string{}, "http://127.0.0.1:9000/bucket?", ""},
		"endpoint of env":    {"bucket", "region=x&use_path_style=true", [2]string{"AWS_ENDPOINT_URL_S3", "http://store.example:9000"}, "http://store.example:9000/bucket?", ""},
		"endpoint for all":   {"bucket", "region=x", [2]string{"AWS_ENDPOINT_URL", "http://store.example:9000"}, "http://bucket.store.example:9000/?", ""},
		"profile":            {"bucket", "profile=other&use_path_style=true", [2]string{}, "https://store.example/bucket?", ""},
		"profile of env":     {"bucket", "use_path_style=true", [2]string{"AWS_PROFILE", "other"}, "https://store.example/bucket?", ""},
		"no such profile":    {"bucket", "profile=nobody", [2]string{}, "", "nobody"},
		"endpoint and fips":  {"bucket", "region=x&endpoint=http://store.example&fips=true", [2]string{}, "", "custom endpoint cannot be combined with FIPS"},
		"China":              {"bucket", "region=cn-north-1", [2]string{}, "https://bucket.s3.cn-north-1.amazonaws.com.cn/?", ""},

		"directory":                 {directory, "region=us-east-1", [2]string{}, "https://" + directory + ".s3express-use1-az4.us-east-1.amazonaws.com/?", ""},
		"directory, fips":           {directory, "region=us-east-1&fips=true", [2]string{}, "https://" + directory + ".s3express-fips-use1-az4.us-east-1.amazonaws.com/?", ""},
		"directory, path style":     {directory, "region=us-east-1&use_path_style=true", [2]string{}, "https://" + directory + ".s3express-use1-az4.us-east-1.amazonaws.com/?", ""},
		"directory, checksums":      {directory, "region=us-east-1&request_checksum_calculation=when_required", [2]string{}, "https://" + directory + ".s3express-use1-az4.us-east-1.amazonaws.com/?", ""},
		"directory, endpoint":       {directory, "region=us-east-1&endpoint=https://vpce.example", [2]string{}, "https://" + directory + ".vpce.example/?", ""},
		"directory, no session":     {directory, "region=us-east-1", [2]string{"AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "true"}, "https://" + directory + ".s3express-use1-az4.us-east-1.amazonaws.com/?", ""},
		"directory, dualstack":      {directory, "region=us-east-1&dualstack=true", [2]string{}, "https://" + directory + ".s3express-use1-az4.dualstack.us-east-1.amazonaws.com/?", ""},
		"directory, accelerate":     {directory, "region=us-east-1&accelerate=true", [2]string{}, "", "S3Express does not support S3 Accelerate"},
		"directory, encryption":     {directory, "region=us-east-1&ssetype=aws:kms", [2]string{}, "", "leave out the parameter ssetype"},
		"directory, key":            {directory, "region=us-east-1&kmskeyid=k", [2]string{}, "", "leave out the parameter kmskeyid"},
		"directory of a bad name":   {"b--x-s3", "region=us-east-1", [2]string{}, "", "S3Express bucket name"},
		"access point of directory": {"p--use1-az4--xa-s3", "region=us-east-1", [2]string{}, "https://p--use1-az4--xa-s3.s3express-use1-az4.us-east-1.amazonaws.com/?", ""},
	} {
		t.Run(name, func(t *testing.T) {
			noEnvironment(t)
			file := filepath.Join(t.TempDir(), "config")
			if err := os.WriteFile(file, []byte(profiles), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("AWS_CONFIG_FILE", file)
			if test.environment[0] != "" {
				t.Setenv(test.environment[0], test.environment[1])
			}
			w, err := ask(t, test.bucket, test.parameters)
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) || len(w.requests) > 0 {
					t.Errorf("%d requests, error %v; want none, and %q", len(w.requests), err, test.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			last := w.requests[len(w.requests)-1]
			if got := last.URL.String(); !strings.HasPrefix(got, test.want) {
				t.Errorf("asked %s, want %s…", got, test.want)
			}
		})
	}
}

// TestRoleKeepsTheOtherParameters: a role is assumed with the credentials of the profile;
// where requests go, and how they are made, is as without it.
func TestRoleKeepsTheOtherParameters(t *testing.T) {
	noEnvironment(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(profiles), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	const role = "arn:aws:iam::123456789012:role/store"
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Form.Get("Action") != "AssumeRole" || r.Form.Get("RoleArn") != role ||
			!strings.Contains(r.Header.Get("Authorization"), "of-the-profile") {
			t.Errorf("STS was asked %v, %v, by %s", r.Form, err, r.Header.Get("Authorization"))
		}
		_, _ = io.WriteString(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>of-the-role</AccessKeyId>`+
			`<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>`+
			time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`)
	}))
	defer sts.Close()
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)

	w, err := ask(t, "bucket", "profile=other&use_path_style=true&request_checksum_calculation=when_required&role="+role)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.requests[0]; !strings.HasPrefix(got.URL.String(), "https://store.example/bucket?") || !strings.Contains(got.Header.Get("Authorization"), "of-the-role") {
		t.Errorf("asked %s by %s", got.URL, got.Header.Get("Authorization"))
	}
	for _, wrong := range []string{"role=store", "role=" + role + "&anonymous=true"} {
		if _, err := ask(t, "bucket", wrong); err == nil || !strings.Contains(err.Error(), "the parameter role must be") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
