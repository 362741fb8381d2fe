package s3driver_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
	"github.com/scheduler-store/scheduler-store/bucket/s3driver"
)

// TestChecksumsOnTheWire: what each mode sends and asks for, as docs/stores.md says. The
// environment and the profile have the modes too, and the URL is stronger.
func TestChecksumsOnTheWire(t *testing.T) {
	var got *http.Request
	var body string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		got, body = r, string(data)
		w.Header().Set("ETag", `"e"`)
	})
	clear, secure := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	defer clear.Close()
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()

	for name, test := range map[string]struct {
		server        *httptest.Server
		request       string
		environment   string
		header        bool
		trailer       bool
		contentSHA256 string
	}{
		"default":                 {clear, "", "", true, false, ""},
		"when supported":          {clear, "when_supported", "", true, false, ""},
		"when required":           {clear, "when_required", "", false, false, ""},
		"environment":             {clear, "", "when_required", false, false, ""},
		"URL before environment":  {clear, "when_supported", "when_required", true, false, ""},
		"with TLS":                {secure, "", "", false, true, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
		"with TLS, when required": {secure, "when_required", "", false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			noEnvironment(t)
			t.Setenv("AWS_REQUEST_CHECKSUM_CALCULATION", test.environment)
			p := parameters(test.server.URL)
			if test.request != "" {
				p.Set("request_checksum_calculation", test.request)
			}
			b, err := s3driver.Open(t.Context(), "bucket", p, httpretry.Options{Base: test.server.Client().Transport, RetryFor: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if _, err := b.Create(t.Context(), "k", []byte("the bytes")); err != nil {
				t.Fatal(err)
			}
			header, trailer := got.Header.Get("X-Amz-Checksum-Crc32") != "", strings.Contains(strings.ToLower(body), "x-amz-checksum-crc32:")
			if header != test.header || trailer != test.trailer || test.contentSHA256 != "" && got.Header.Get("X-Amz-Content-Sha256") != test.contentSHA256 {
				t.Errorf("header %t, trailer %t, %s", header, trailer, got.Header.Get("X-Amz-Content-Sha256"))
			}
			if !test.trailer && body != "the bytes" {
				t.Errorf("the body is %q", body)
			}
		})
	}
}

// TestChecksumOfAReply: a reply whose bytes are not those of its checksum is refused,
// unless that is not looked at.
func TestChecksumOfAReply(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("X-Amz-Checksum-Mode")
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("X-Amz-Checksum-Crc32", "AAAAAA==")
		_, _ = io.WriteString(w, "other bytes")
	}))
	defer server.Close()
	for mode, refused := range map[string]bool{"": true, "when_supported": true, "when_required": false} {
		noEnvironment(t)
		p := parameters(server.URL)
		if mode != "" {
			p.Set("response_checksum_validation", mode)
		}
		_, _, err := open(t, p).Get(t.Context(), "k")
		if (err != nil) != refused || (asked == "ENABLED") != refused || refused && !strings.Contains(err.Error(), "checksum did not match") {
			t.Errorf("%q: error %v, asked for %q", mode, err, asked)
		}
	}
}
