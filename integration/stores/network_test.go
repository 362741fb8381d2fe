package stores_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// urlVariable names the bucket that this test binary uses as another process: Go looks at
// the settings of proxies, and at the system's certificates, once in a process.
const urlVariable = "STORES_TEST_URL"

func TestInAnotherProcess(t *testing.T) {
	rawURL := os.Getenv(urlVariable)
	if rawURL == "" {
		t.Skip("it is started by others")
	}
	b, err := bucketurl.Open(t.Context(), rawURL, bucketurl.Options{RetryFor: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := use(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// use does with a bucket what the log, the lease and the snapshots do.
func use(ctx context.Context, b *bucket.Bucket) error {
	folder := "used/" + rand.Text()
	key, data := folder+"/k", unique("one")
	version, err := b.Create(ctx, key, data)
	if err != nil {
		return err
	}
	if err := b.CheckConditions(ctx, key, bucket.Object{Data: data, Version: version}); err != nil {
		return err
	}
	data = unique(strings.Repeat("two", 1<<20))
	if version, err = b.Replace(ctx, key, data, version); err != nil {
		return err
	}
	object, err := b.Get(ctx, key)
	if err != nil || !bytes.Equal(object.Data, data) || object.Version != version {
		return errors.Join(err, errors.New("it does not hold what was written"))
	}
	if part, err := b.GetRange(ctx, key, 3, 4); err != nil || !bytes.Equal(part, data[3:7]) {
		return errors.Join(err, errors.New("a range is not what was written"))
	}
	var listed []string
	for info, err := range b.List(ctx, folder+"/", "") {
		if err != nil {
			return err
		}
		listed = append(listed, info.Key)
	}
	if !slices.Equal(listed, []string{key}) {
		return errors.New("it is not listed")
	}
	return b.Delete(ctx, key)
}

// elsewhere uses a bucket in another process with an environment, and returns what it says.
func elsewhere(t *testing.T, rawURL string, environment ...string) (output string, ok bool) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInAnotherProcess$", "-test.timeout=1m")
	for _, setting := range os.Environ() {
		switch name, _, _ := strings.Cut(setting, "="); strings.ToUpper(name) {
		case "AWS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY":
		default:
			c.Env = append(c.Env, setting)
		}
	}
	c.Env = append(append(c.Env, urlVariable+"="+rawURL), environment...)
	data, err := c.CombinedOutput()
	return string(data), err == nil
}

func wantUse(t *testing.T, rawURL string, environment ...string) {
	t.Helper()
	if output, ok := elsewhere(t, rawURL, environment...); !ok {
		t.Errorf("%s with %q: %s", rawURL, environment, output)
	}
}

// wantRefused wants an error that says something, and has no secret.
func wantRefused(t *testing.T, says, rawURL string, environment ...string) {
	t.Helper()
	if output, ok := elsewhere(t, rawURL, environment...); ok || !strings.Contains(output, says) || strings.Contains(output, "hush") {
		t.Errorf("%s with %q: %s; want an error that says %q", rawURL, environment, output, says)
	}
}

const storeName = "store.example" // which no resolver knows

// TestNetworkOfS3: MinIO with a certificate of an authority that only its users know, and
// where only a proxy leads to it.
func TestNetworkOfS3(t *testing.T) {
	authority := servers.NewAuthority(t)
	minio := servers.StartSecureMinIO(t, authority, storeName)
	minio.UseCredentials(t)
	minio.MakeBucket(t, bucketName)
	at, bundle := minio.BucketURL(bucketName, "cell"), "AWS_CA_BUNDLE="+authority.File

	t.Run("authority", func(t *testing.T) {
		wantUse(t, at, bundle)
		profile := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(profile, []byte("[profile own]\nca_bundle = "+authority.File+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		wantUse(t, at, "AWS_CONFIG_FILE="+profile, "AWS_PROFILE=own")
		wantUse(t, at, "SSL_CERT_FILE="+authority.File)
		wantRefused(t, "name the file of its own in AWS_CA_BUNDLE", at)
		wantRefused(t, "certificate signed by unknown authority", at, "AWS_CA_BUNDLE="+servers.NewAuthority(t).File)
		wantRefused(t, "AWS_CA_BUNDLE", at, "AWS_CA_BUNDLE=none.pem")
	})
	t.Run("proxy", func(t *testing.T) {
		proxy := startForwardProxy(t, strings.TrimPrefix(minio.Endpoint, "https://"), "hush")
		named := servers.S3URL("https://"+storeName+":9000", bucketName, "cell")
		wantUse(t, named, bundle, "HTTPS_PROXY="+proxy.url("hush"))
		want := []string{"CONNECT " + storeName + ":9000"}
		if got := proxy.seen(); !slices.Equal(got, want) {
			t.Errorf("the proxy was asked %q, want %q", got, want)
		}
		wantRefused(t, "Proxy Authentication Required", named, bundle, "HTTPS_PROXY="+proxy.url("hush-hush"))
		wantRefused(t, "proxyconnect", named, bundle, "HTTPS_PROXY=http://127.0.0.1:1")
		wantRefused(t, "lookup "+storeName, named, bundle, "HTTPS_PROXY="+proxy.url("hush"), "NO_PROXY=.example")
		wantUse(t, at, bundle, "HTTPS_PROXY=http://127.0.0.1:1") // loopback goes past it
	})
}

func TestProxyOfS3InTheClear(t *testing.T) {
	gateway := servers.StartVersityGW(t)
	gateway.UseCredentials(t)
	gateway.MakeBucket(t, bucketName)
	proxy := startForwardProxy(t, strings.TrimPrefix(gateway.Endpoint, "http://"), "")
	wantUse(t, servers.S3URL("http://"+storeName+":9000", bucketName, "cell"), "HTTP_PROXY="+proxy.URL)
	if seen := proxy.seen(); !slices.Contains(seen, "PUT "+storeName+":9000") {
		t.Errorf("the proxy was asked %q", seen)
	}
}

// TestNetworkOfGCS: the same for GCS's client: a proxy, and a certificate of an own
// authority, of which it learns from the system only.
func TestNetworkOfGCS(t *testing.T) {
	gcs := servers.StartGCS(t)
	gcs.MakeBucket(t, bucketName)
	at := gcs.BucketURL(bucketName, "cell")

	authority := servers.NewAuthority(t)
	directory := authority.Certificate(storeName)
	certificate, err := tls.LoadX509KeyPair(filepath.Join(directory, "public.crt"), filepath.Join(directory, "private.key"))
	if err != nil {
		t.Fatal(err)
	}
	secure := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: gcs.Host}) // the emulator looks for its own Host
	}})
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	secure.StartTLS()
	defer secure.Close()

	wantUse(t, at, "STORAGE_EMULATOR_HOST="+secure.URL, "SSL_CERT_FILE="+authority.File)
	wantRefused(t, "name the file of its own in SSL_CERT_FILE", at, "STORAGE_EMULATOR_HOST="+secure.URL)

	proxy := startForwardProxy(t, strings.TrimPrefix(secure.URL, "https://"), "")
	wantUse(t, at, "STORAGE_EMULATOR_HOST=https://"+storeName, "SSL_CERT_FILE="+authority.File, "HTTPS_PROXY="+proxy.URL)
	if got, want := proxy.seen(), []string{"CONNECT " + storeName + ":443"}; !slices.Equal(got, want) {
		t.Errorf("the proxy was asked %q, want %q", got, want)
	}
}
