package s3driver_test

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
	"github.com/scheduler-store/scheduler-store/bucket/s3driver"
)

func parameters(endpoint string) url.Values {
	return url.Values{"endpoint": {endpoint}, "use_path_style": {"true"}, "region": {"us-east-1"}}
}

// retry gives up soon.
var retry = httpretry.Options{RetryFor: 300 * time.Millisecond}

func open(t *testing.T, parameters url.Values) *s3driver.Bucket {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	b, err := s3driver.Open(t.Context(), "bucket", parameters, retry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// TestAWSCABundle: the certificates that AWS_CA_BUNDLE names are trusted, and
// nothing else is.
func TestAWSCABundle(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if data, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(data), "the bytes") {
			t.Errorf("got %q, %v", data, err)
		}
		w.Header().Set("ETag", `"e"`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()

	bundle := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", "")
	_, err := open(t, parameters(server.URL)).Create(t.Context(), "k", []byte("the bytes"))
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Fatalf("without the bundle: %v", err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	version, err := open(t, parameters(server.URL)).Create(t.Context(), "k", []byte("the bytes"))
	if err != nil || version != driver.Version(`"e"`) {
		t.Fatalf("with the bundle: %s, %v", version, err)
	}
}

// TestRequests: what is asked of the store, as it goes over the wire.
func TestRequests(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("ETag", `"new"`)
	}))
	defer server.Close()
	settings := parameters(server.URL)
	settings.Set("ssetype", "aws:kms")
	settings.Set("kmskeyid", "a-key")
	b := open(t, settings)

	if _, err := b.Create(t.Context(), "a b/c", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got.Method != "PUT" || got.URL.Path != "/bucket/a b/c" || got.Header.Get("If-None-Match") != "*" || got.Header.Get("If-Match") != "" {
		t.Errorf("create: %s %s %v", got.Method, got.URL, got.Header)
	}
	if got.Header.Get("X-Amz-Server-Side-Encryption") != "aws:kms" || got.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id") != "a-key" {
		t.Errorf("create: %v", got.Header)
	}
	version, err := b.Replace(t.Context(), "k", []byte("x"), `"old"`)
	if err != nil || version != `"new"` {
		t.Fatalf("replace: %s, %v", version, err)
	}
	if got.Header.Get("If-Match") != `"old"` || got.Header.Get("If-None-Match") != "" {
		t.Errorf("replace: %v", got.Header)
	}
	if err := b.Delete(t.Context(), "k"); err != nil || got.Method != "DELETE" || got.Header.Get("If-Match") != "" {
		t.Errorf("delete: %v, %s %v", err, got.Method, got.Header)
	}
	if _, err := b.GetRange(t.Context(), "k", 3, 4); err != nil || got.Header.Get("Range") != "bytes=3-6" {
		t.Errorf("range: %v, %v", err, got.Header)
	}
}

// TestFreshConnection: that a context asks for one reaches the connections, of
// writes and of reads.
func TestFreshConnection(t *testing.T) {
	var connections []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections = append(connections, r.RemoteAddr)
		w.Header().Set("ETag", `"e"`)
	}))
	defer server.Close()
	b := open(t, parameters(server.URL))
	for _, ctx := range []context.Context{t.Context(), driver.OnFreshConnection(t.Context()), t.Context()} {
		if _, err := b.Create(ctx, "k", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Get(ctx, "k"); err != nil {
			t.Fatal(err)
		}
	}
	kept := connections[0]
	for i, isFresh := range []bool{false, false, true, true, false, false} {
		if (connections[i] != kept) != isFresh {
			t.Errorf("request %d: over a connection of its own is %t, want %t", i, !isFresh, isFresh)
		}
	}
	if connections[2] == connections[3] {
		t.Error("two requests shared a fresh connection")
	}
	if !b.Hedgeable() {
		t.Error("S3 is not hedged")
	}
}

// TestAReplyWithoutAVersion is of no use.
func TestAReplyWithoutAVersion(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	b := open(t, parameters(server.URL))
	if _, err := b.Create(t.Context(), "k", []byte("x")); err == nil || !strings.Contains(err.Error(), "no ETag") {
		t.Errorf("create: %v", err)
	}
	if _, _, err := b.Get(t.Context(), "k"); err == nil || !strings.Contains(err.Error(), "no ETag") {
		t.Errorf("get: %v", err)
	}
}
