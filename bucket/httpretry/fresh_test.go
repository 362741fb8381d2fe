package httpretry_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
)

// A request that asks for it goes over a connection that no other used before or
// uses after it. All else is as for others: certificates, further tries, and the
// connection that those keep.
func TestFreshConnection(t *testing.T) {
	var connections []string
	fail := false
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections = append(connections, r.RemoteAddr)
		if fail {
			w.WriteHeader(http.StatusServiceUnavailable)
			fail = false
		}
	}))
	defer server.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	transport := httpretry.New(httpretry.Options{Base: httpretry.NewTransport(&tls.Config{RootCAs: trusted}), MinWait: time.Millisecond})
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	put := func(ctx context.Context) {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, http.MethodPut, server.URL, strings.NewReader("the body"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
	}
	fresh := driver.OnFreshConnection(t.Context())
	put(t.Context())
	put(fresh)
	put(fresh)
	fail = true
	put(fresh) // twice
	put(t.Context())

	if len(connections) != 6 {
		t.Fatalf("%d tries, want 6", len(connections))
	}
	kept := connections[0]
	if connections[5] != kept {
		t.Error("the others' connection was not kept")
	}
	for i, c := range connections[1:5] {
		if c == kept || slices.Contains(connections[1:1+i], c) {
			t.Errorf("fresh try %d went over a connection that was used before", i)
		}
	}
}
