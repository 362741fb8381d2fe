package bucketurl_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
)

// hush stands for a secret in a URL.
const hush = "hu5h-HU5H"

// withoutCredentials gives the AWS default chain something to find, and nothing else.
func withoutCredentials(f *testing.F) {
	f.Helper()
	none := filepath.Join(f.TempDir(), "none")
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "none", "AWS_CONFIG_FILE": none,
		"AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "", "AWS_DEFAULT_REGION": ""} {
		f.Setenv(name, value)
	}
}

// FuzzParse: whatever a URL is, it is refused with no secret in the error, or comes back
// from what it prints as. A secret is what stands before an @ where credentials may, or
// in a parameter's value, however the URL goes on.
func FuzzParse(f *testing.F) {
	withoutCredentials(f)
	for _, seed := range [][2]string{
		{"s3://AKIA:", "@bucket/prefix?region=us-east-1"}, {"s3://", "@b/p"}, {"s3://AKIA:", "+x@b:p/p"}, {"s3://AKIA:12/", "@b/p"},
		{"s3://b/p?region=us-east-1&secret_access_key=", ""}, {"s3://b/p?region=us-east-1&nope=", ""}, {"s3://b/p?endpoint=http://u:", "@h:9000&region=x"},
		{"s3://b/p?region=", "&use_path_style=true"}, {"s3://b/p?region=x&use_path_style=", ""}, {"gs://b/p?private_key_path=", ""},
		{"file:///var/lib/", ""}, {"file://./", "?x=1"}, {"mem://", ""}, {"gs://b/", "#x"}, {"s3://b/a//", ""}, {"s3://h:9000/", ""},
		{"", ""}, {"s3://b/p?a=%zz&b=", ""}, {"s3://b?region=a&region=", ""}, {"s3://b?region=x&endpoint=ftp://", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, "hu5h") {
			t.Skip() // the secret's own bytes in another place prove nothing
		}
		rawURL := before + hush + after
		location, err := bucketurl.Parse(rawURL)
		if err == nil && location.Scheme == "s3" {
			_, _, err = bucketurl.OpenDriver(t.Context(), rawURL, bucketurl.Options{})
		}
		if isSecret(before, after) {
			if err != nil && strings.Contains(err.Error(), hush) {
				t.Errorf("%q: the error has the secret: %v", rawURL, err)
			}
			if strings.Contains(location.String(), hush) && err == nil {
				t.Errorf("%q prints as %s", rawURL, location)
			}
		}
		if err != nil {
			if location.Scheme == "" && !errors.Is(err, bucketurl.ErrURL) {
				t.Errorf("%q: %v is not ErrURL", rawURL, err)
			}
			if len(err.Error()) > 1000+4*len(rawURL) {
				t.Errorf("an error of %d bytes for %d", len(err.Error()), len(rawURL))
			}
			return
		}
		if location.Scheme == "file" && !filepath.IsAbs(location.Bucket) {
			t.Errorf("%q is the directory %q", rawURL, location.Bucket)
		}
		again, err := bucketurl.Parse(location.String())
		if err != nil || again.String() != location.String() || again.Bucket != location.Bucket || again.Prefix != location.Prefix {
			t.Errorf("%q prints as %s, which is read as %+v, %v", rawURL, location, again, err)
		}
	})
}

// isSecret tells whether what stands between these two would be a secret: a parameter's
// value, or what comes before an @ in the place of a server's name.
func isSecret(before, after string) bool {
	scheme, rest, found := strings.Cut(before, "://")
	if !found || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || strings.Contains(before, "#") {
		return false
	}
	if _, query, found := strings.Cut(rest, "?"); found {
		_, value, found := strings.Cut(query[strings.LastIndexByte(query, '&')+1:], "=")
		return found && !strings.Contains(value, "=")
	}
	authority, _, _ := strings.Cut(after, "/")
	authority, _, _ = strings.Cut(authority, "?")
	return !strings.Contains(rest, "/") && strings.Contains(authority, "@") && !strings.Contains(after, "#")
}
