package stores_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/scheduler-store/scheduler-store/bucket/buckettest/faultproxy"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/integration/servers"
)

const anything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}`

// issuer gives out credentials of MinIO (AssumeRole), others each time, that end soon: at
// their end the store refuses them, as S3 does.
type issuer struct {
	credentials []*servers.S3
	life        time.Duration
	early       time.Duration // how much longer the client is told that they live

	mu     sync.Mutex
	issued int
	until  map[string]time.Time // by the key's id
}

func (i *issuer) issue() (c *servers.S3, until time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c = i.credentials[min(i.issued, len(i.credentials)-1)]
	i.issued++
	until = time.Now().Add(i.life)
	i.until[c.AccessKey] = until
	return c, until.Add(i.early)
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.issued
}

// ended tells whether a request is signed by credentials that have ended.
func (i *issuer) ended(r *http.Request) bool {
	_, key, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ = strings.Cut(key, "/")
	i.mu.Lock()
	defer i.mu.Unlock()
	return !time.Now().Before(i.until[key])
}

// inJSON is how the metadata service and the endpoints of containers give credentials.
func (i *issuer) inJSON(w http.ResponseWriter) {
	c, until := i.issue()
	_ = json.NewEncoder(w).Encode(map[string]any{"Code": "Success", "AccessKeyId": c.AccessKey, "SecretAccessKey": c.SecretKey,
		"Token": c.SessionToken, "Expiration": until.UTC()})
}

// metadata stands in for the metadata service of EC2, version 2.
func metadata(t *testing.T, i *issuer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		const roles = "/latest/meta-data/iam/security-credentials/"
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "600")
			fmt.Fprint(w, "token")
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == roles:
			fmt.Fprint(w, "role")
		case r.URL.Path == roles+"role":
			i.inJSON(w)
		default:
			t.Errorf("the metadata service was asked %s", r.URL)
		}
	}
}

// TestCredentials: with credentials that end and are replaced, however they come, a store
// that is open goes on, and no request fails. Without any, what a bucket lets everybody do
// can be done.
func TestCredentials(t *testing.T) {
	minio := servers.StartMinIO(t)
	minio.MakeBucket(t, bucketName)
	var credentials []*servers.S3
	for range 4 {
		credentials = append(credentials, minio.WithPolicy(t, anything))
	}
	token := filepath.Join(t.TempDir(), "token") // as a kubelet projects and replaces it
	writeToken := func(n int) {
		if err := os.WriteFile(token, fmt.Append(nil, "token-", n), 0o600); err != nil {
			t.Error(err)
		}
	}
	wantToken := func(t *testing.T, i *issuer, got string) {
		if want := fmt.Sprint("token-", i.count()); got != want {
			t.Errorf("came with %q, want %q", got, want)
		}
		writeToken(i.count() + 1)
	}
	t.Run("anonymous", func(t *testing.T) { anonymous(t, minio) })
	for name, test := range map[string]struct {
		early       time.Duration
		handler     func(t *testing.T, i *issuer) http.HandlerFunc
		environment func(url string) map[string]string
	}{
		"metadata service of EC2": {0, metadata, func(url string) map[string]string {
			return map[string]string{"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": url}
		}},
		// The client takes them for ended five minutes before they are.
		"endpoint of a container": {5 * time.Minute, func(t *testing.T, i *issuer) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				wantToken(t, i, r.Header.Get("Authorization"))
				i.inJSON(w)
			}
		}, func(url string) map[string]string {
			return map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": url + "/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token}
		}},
		"web identity": {0, func(t *testing.T, i *issuer) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("RoleArn") != "arn:aws:iam::123456789012:role/store" {
					t.Errorf("STS was asked %v", r.Form)
				}
				wantToken(t, i, r.FormValue("WebIdentityToken"))
				c, until := i.issue()
				fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId>`+
					`<SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>`+
					`</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
					c.AccessKey, c.SecretKey, c.SessionToken, until.UTC().Format(time.RFC3339Nano))
			}
		}, func(url string) map[string]string {
			return map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/store", "AWS_ENDPOINT_URL_STS": url}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			i := &issuer{credentials: credentials, life: 1500 * time.Millisecond, early: test.early, until: map[string]time.Time{}}
			writeToken(0)
			source := httptest.NewServer(test.handler(t, i))
			defer source.Close()
			withoutKeys(t)
			for name, value := range test.environment(source.URL) {
				t.Setenv(name, value)
			}
			proxy := faultproxy.Start(t, minio.Endpoint, faultproxy.Options{})
			proxy.Inject(faultproxy.Fault{Match: i.ended, Times: -1, Do: faultproxy.Answer(http.StatusBadRequest, "ExpiredToken")})

			b, err := bucketurl.Open(t.Context(), servers.S3URL(proxy.URL, bucketName, t.Name()), bucketurl.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			n, began := 0, time.Now()
			for ; i.count() < 3; n++ { // so that the first have ended
				if _, err := b.Create(t.Context(), fmt.Sprint("log/", n), unique("x")); err != nil {
					t.Fatalf("after %v: %v", time.Since(began), err)
				}
				if time.Since(began) > 10*i.life {
					t.Fatalf("only %d credentials were asked for", i.count())
				}
			}
			if time.Since(began) < i.life {
				t.Errorf("three credentials in %v", time.Since(began))
			}
		})
	}
}

func anonymous(t *testing.T, minio *servers.MinIO) {
	minio.MakeBucket(t, "public")
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:*"],` +
		`"Resource":["arn:aws:s3:::public","arn:aws:s3:::public/*"]}]}`
	if _, err := minio.Client().PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: aws.String("public"), Policy: &policy}); err != nil {
		t.Fatal(err)
	}
	withoutKeys(t)
	b, err := bucketurl.Open(t.Context(), minio.BucketURL("public", "cell")+"&anonymous=true", bucketurl.Options{RetryFor: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := use(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// withoutKeys leaves the AWS default chain nothing to find.
func withoutKeys(t *testing.T) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, value)
	}
}
