package gsdriver_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/buckettest"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/gsdriver"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
)

// retry gives up soon.
var retry = httpretry.Options{RetryFor: 300 * time.Millisecond}

// answer is what a store says to a request.
type answer struct {
	status          int
	reason, message string
}

func (a answer) String() string {
	return strings.TrimSpace(fmt.Sprint(a.status, " ", a.reason, " ", a.message))
}

// opened is a bucket of the emulator at an address.
func opened(t *testing.T, address string) *gsdriver.Bucket {
	t.Helper()
	t.Setenv("STORAGE_EMULATOR_HOST", strings.TrimPrefix(address, "http://"))
	b, err := gsdriver.Open(t.Context(), "bucket", url.Values{}, retry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// answering is a bucket of such a server.
func answering(t *testing.T, answers ...answer) (b *gsdriver.Bucket, tries func() int) {
	t.Helper()
	url, tries := buckettest.Answering(t, func(w http.ResponseWriter, a answer) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		items := []map[string]string{{"reason": a.reason, "message": a.message}}
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": a.status, "message": a.message, "errors": items}})
	}, answers...)
	return opened(t, url), tries
}

var operations = buckettest.Operations("7")

// Each answer of the store has one meaning for each operation. What it does not say
// clearly stays unknown.
func TestWhatAnswersMean(t *testing.T) {
	unknown, done := errors.New("none of the sentinels"), errors.New("no error at all")
	const noBucket = "The specified bucket does not exist."
	all := func(err error) map[string]error {
		m := map[string]error{}
		for name := range operations {
			m[name] = err
		}
		return m
	}
	gone := all(driver.ErrNotExist)
	gone["replace"], gone["create"], gone["list"], gone["delete"] = driver.ErrChanged, driver.ErrNoBucket, driver.ErrNoBucket, done
	unmet := all(unknown)
	unmet["create"], unmet["replace"] = driver.ErrExists, driver.ErrChanged
	for a, want := range map[answer]map[string]error{
		{403, "forbidden", "no access"}:          all(driver.ErrDenied),
		{401, "authError", "no credentials"}:     all(driver.ErrDenied),
		{403, "rateLimitExceeded", "slower"}:     all(unknown),
		{403, "quotaExceeded", "less"}:           all(unknown),
		{404, "notFound", noBucket}:              all(driver.ErrNoBucket),
		{404, "notFound", "No such object: b/k"}: gone,
		{412, "conditionNotMet", "precondition"}: unmet,
		{429, "rateLimitExceeded", "slower"}:     all(unknown),
		{500, "backendError", "broken"}:          all(unknown),
		{503, "backendError", "not now"}:         all(unknown),
		{400, "invalid", "what is that"}:         all(unknown),
	} {
		again := slices.Contains([]int{429, 500, 503}, a.status)
		for name, operation := range operations {
			b, tries := answering(t, a)
			err := operation(t.Context(), b)
			what := fmt.Sprintf("%s is answered %v", name, a)
			if want[name] == done {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			} else {
				buckettest.MustBe(t, what, err, want[name])
			}
			if (tries() > 1) != again {
				t.Errorf("%s: tried %d times", what, tries())
			}
		}
	}
}

// A refusal says that nothing landed only if no try before it may have landed.
func TestARefusalAfterOtherTries(t *testing.T) {
	for _, name := range []string{"create", "replace", "delete"} {
		b, _ := answering(t, answer{500, "backendError", "broken"}, answer{403, "forbidden", "no access"})
		err := operations[name](t.Context(), b)
		if buckettest.MustBe(t, name+" after a 500", err, nil); !strings.Contains(err.Error(), "not known") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A range that begins at the end, or beyond it, has no bytes, as of every driver; one
// that is none is refused before the store is asked, and so is what is no generation.
func TestWhatNeedsNoStore(t *testing.T) {
	b, tries := answering(t, answer{416, "requestedRangeNotSatisfiable", "beyond"})
	if data, err := b.GetRange(t.Context(), "k", 9, 5); err != nil || len(data) != 0 {
		t.Errorf("beyond the end: %q, %v", data, err)
	}
	asked := tries()
	for _, r := range [][2]int64{{-1, 5}, {0, -5}} {
		if _, err := b.GetRange(t.Context(), "k", r[0], r[1]); err == nil || !strings.Contains(err.Error(), "invalid range") {
			t.Errorf("%v: %v", r, err)
		}
	}
	for _, version := range []driver.Version{"", "0", "-1", `"etag"`} {
		_, err := b.Replace(t.Context(), "k", []byte("x"), version)
		buckettest.MustBe(t, fmt.Sprintf("version %q", version), err, driver.ErrChanged)
	}
	if tries() != asked {
		t.Error("the store was asked")
	}
}

// What goes over the wire: the condition of each write, and the generation that comes back.
func TestRequests(t *testing.T) {
	var got *http.Request
	generation := "42"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got = r
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Goog-Generation", generation)
		if r.Header.Get("Range") != "" {
			w.Header().Set("Content-Range", "bytes 3-6/9")
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, "defg")
			return
		}
		fmt.Fprintf(w, `{"kind":"storage#object","name":"k","bucket":"bucket","generation":%q,"size":"1","crc32c":"qTxfkw=="}`, generation)
	}))
	defer server.Close()
	b := opened(t, server.URL)
	version, err := b.Create(t.Context(), "k", []byte("x"))
	if err != nil || version != "42" || got.URL.Query().Get("ifGenerationMatch") != "0" {
		t.Errorf("create: %q, %v, asked %v", version, err, got.URL)
	}
	version, err = b.Replace(t.Context(), "k", []byte("x"), "41")
	if err != nil || version != "42" || got.URL.Query().Get("ifGenerationMatch") != "41" {
		t.Errorf("replace: %q, %v, asked %v", version, err, got.URL)
	}
	if _, version, err = b.Get(t.Context(), "k"); err != nil || version != "42" {
		t.Errorf("get: %q, %v", version, err)
	}
	if data, err := b.GetRange(t.Context(), "k", 3, 4); err != nil || string(data) != "defg" || got.Header.Get("Range") != "bytes=3-6" {
		t.Errorf("range: %v, %v", err, got.Header)
	}
	if err := b.Delete(t.Context(), "k"); err != nil || got.Method != "DELETE" || got.URL.Query().Has("ifGenerationMatch") {
		t.Errorf("delete: %v, %s %v", err, got.Method, got.URL)
	}
	generation = "0"
	for _, name := range []string{"create", "replace", "get"} { // and is of no use
		if err := operations[name](t.Context(), b); err == nil || !strings.Contains(err.Error(), "no generation") {
			t.Errorf("%s whose reply has no generation: %v", name, err)
		}
	}
}

// A listing begins behind the start, though the store counts that in. A page that is
// refused is an error, and no end of the listing.
func TestListing(t *testing.T) {
	more := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("pageToken") != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"kind":"storage#objects",`+more+`"items":[{"name":"a","size":"1"},{"name":"b","size":"2"},{"name":"c","size":"3"}]}`)
	}))
	defer server.Close()
	b := opened(t, server.URL)
	for info, err := range b.List(t.Context(), "", "a") {
		if err != nil || info.Key != "b" || info.Size != 2 {
			t.Errorf("the first line is %v, %v", info, err)
		}
		break
	}
	more = `"nextPageToken":"more",`
	var last error
	for _, err := range b.List(t.Context(), "", "") {
		last = err
	}
	buckettest.MustBe(t, "a page that is refused", last, driver.ErrDenied)
}

func TestParametersThatAreRefused(t *testing.T) {
	for text, p := range map[string]url.Values{
		"unknown parameter":         {"colour": {"blue"}},
		"is given 2 times":          {"anonymous": {"true", "false"}},
		"anonymous must be true or": {"anonymous": {"perhaps"}},
	} {
		if _, err := gsdriver.Open(t.Context(), "bucket", p, retry); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v: %v, want %q", p, err, text)
		}
	}
}

// Without credentials nothing is opened, and the error says what to set.
func TestNoCredentials(t *testing.T) {
	t.Setenv("STORAGE_EMULATOR_HOST", "")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "missing.json"))
	_, err := gsdriver.Open(t.Context(), "bucket", url.Values{}, retry)
	if buckettest.MustBe(t, "no credentials", err, driver.ErrDenied); !strings.Contains(err.Error(), "GOOGLE_APPLICATION_CREDENTIALS") {
		t.Error(err)
	}
	b, err := gsdriver.Open(t.Context(), "bucket", url.Values{"anonymous": {"true"}}, retry)
	if err != nil {
		t.Fatalf("anonymous access needs no credentials: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// Who gives out tokens may refuse one, which is "access denied" at once, or be in
// trouble itself, which may pass and is tried again. Either way nothing reaches the store.
func TestTokensThatAreRefused(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]error{http.StatusBadRequest: driver.ErrDenied, http.StatusServiceUnavailable: nil} {
		tries := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			tries++
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, `{"error":"invalid_grant"}`)
		}))
		file := filepath.Join(t.TempDir(), "account.json")
		account, err := json.Marshal(map[string]string{"type": "service_account", "project_id": "p", "private_key_id": "1", "client_id": "1",
			"client_email": "a@p.example", "private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": server.URL})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, account, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("STORAGE_EMULATOR_HOST", "")
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
		b, err := gsdriver.Open(t.Context(), "bucket", url.Values{}, retry)
		if err != nil {
			t.Fatal(err)
		}
		for name, operation := range operations {
			tries = 0
			buckettest.MustBe(t, fmt.Sprintf("%s, whose token is answered %d", name, status), operation(t.Context(), b), want)
			if (tries > 1) != (want == nil) {
				t.Errorf("%s: %d was tried %d times", name, status, tries)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}
