package s3driver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/buckettest"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/s3driver"
)

// answer is what a store says to a request; code is that of the error document.
type answer struct {
	status int
	code   string
}

func (a answer) String() string { return strings.TrimSpace(fmt.Sprint(a.status, " ", a.code)) }

// answering is a bucket of such a server.
func answering(t *testing.T, answers ...answer) (b *s3driver.Bucket, tries func() int) {
	t.Helper()
	url, tries := buckettest.Answering(t, func(w http.ResponseWriter, a answer) {
		if a.code != "" {
			w.Header().Set("Content-Type", "application/xml")
		}
		w.WriteHeader(a.status)
		if a.code != "" {
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>said so</Message></Error>", a.code)
		}
	}, answers...)
	return open(t, parameters(url)), tries
}

var operations = buckettest.Operations(`"e"`)

// Each answer of the store has one meaning for each operation. What it does not say
// clearly stays unknown.
func TestWhatAnswersMean(t *testing.T) {
	unknown := errors.New("none of the sentinels")
	done := errors.New("no error at all")
	all := func(err error) map[string]error {
		m := map[string]error{}
		for name := range operations {
			m[name] = err
		}
		return m
	}
	with := func(m map[string]error, err error, names ...string) map[string]error {
		for _, name := range names {
			m[name] = err
		}
		return m
	}
	for a, want := range map[answer]map[string]error{
		{403, "AccessDenied"}:                 all(driver.ErrDenied),
		{403, ""}:                             all(driver.ErrDenied),
		{401, ""}:                             all(driver.ErrDenied),
		{400, "ExpiredToken"}:                 all(driver.ErrDenied),
		{404, "NoSuchBucket"}:                 all(driver.ErrNoBucket),
		{404, "NoSuchKey"}:                    with(with(with(all(driver.ErrNotExist), driver.ErrChanged, "replace"), driver.ErrNoBucket, "list"), done, "delete"),
		{404, ""}:                             all(unknown),
		{412, "PreconditionFailed"}:           with(with(all(unknown), driver.ErrExists, "create"), driver.ErrChanged, "replace"),
		{409, "ConditionalRequestConflict"}:   all(unknown),
		{429, "SlowDown"}:                     all(unknown),
		{500, "InternalError"}:                all(unknown),
		{503, "SlowDown"}:                     all(unknown),
		{307, ""}:                             all(unknown),
		{400, "AuthorizationHeaderMalformed"}: all(unknown),
		{400, "InvalidArgument"}:              all(unknown),
	} {
		says := map[string]string{"404": "endpoint=", "307": "region=", "400 AuthorizationHeaderMalformed": "region="}[a.String()]
		again := slices.Contains([]int{409, 429, 500, 503}, a.status)
		for name, operation := range operations {
			b, tries := answering(t, a)
			err := operation(t.Context(), b)
			what := fmt.Sprintf("%s is answered %v", name, a)
			if want[name] == done {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			} else if buckettest.MustBe(t, what, err, want[name]); err != nil && !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v does not say %q", what, err, says)
			}
			if (tries() > 1) != again {
				t.Errorf("%s: tried %d times", what, tries())
			}
		}
	}
}

// A refusal says that nothing landed only if no try before it may have landed.
func TestARefusalAfterOtherTries(t *testing.T) {
	refused := answer{403, "AccessDenied"}
	for _, name := range []string{"create", "replace", "delete"} {
		b, _ := answering(t, answer{500, "InternalError"}, refused)
		err := operations[name](t.Context(), b)
		if buckettest.MustBe(t, name+" after a 500", err, nil); !strings.Contains(err.Error(), "not known") {
			t.Errorf("%s: %v", name, err)
		}
		b, _ = answering(t, answer{409, "ConditionalRequestConflict"}, refused)
		buckettest.MustBe(t, name+" after a conflict, of which nothing landed", operations[name](t.Context(), b), driver.ErrDenied)
	}
}

// A range that begins at the end, or beyond it, has no bytes, as of every driver; one
// that is none is refused before the store is asked.
func TestRangesWithoutBytes(t *testing.T) {
	b, tries := answering(t, answer{416, "InvalidRange"})
	if data, err := b.GetRange(t.Context(), "k", 9, 5); err != nil || len(data) != 0 {
		t.Errorf("beyond the end: %q, %v", data, err)
	}
	asked := tries()
	for _, r := range [][2]int64{{-1, 5}, {0, -5}} {
		if _, err := b.GetRange(t.Context(), "k", r[0], r[1]); err == nil || !strings.Contains(err.Error(), "invalid range") {
			t.Errorf("%v: %v", r, err)
		}
	}
	if tries() != asked {
		t.Error("the store was asked for a range that is none")
	}
}

// Bytes that are not those whose checksum the store has sent are not handed on, nor is
// a body that is cut off.
func TestBodiesThatAreNotWhole(t *testing.T) {
	for what, body := range map[string]string{"another": "Hello", "shorter": "hell"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"e"`)
			w.Header().Set("Content-Length", "5")
			w.Header().Set("X-Amz-Checksum-Crc32", "NhCmhg==") // of "hello"
			_, _ = io.WriteString(w, body)
		}))
		b := open(t, parameters(server.URL))
		if data, _, err := b.Get(t.Context(), "k"); err == nil {
			t.Errorf("%s: got %q", what, data)
		} else {
			buckettest.MustBe(t, what, err, nil)
		}
		server.Close()
	}
}

// What is not behind the start is skipped, since some stores do not honour it. A page
// that is refused is an error, and no end of the listing.
func TestListing(t *testing.T) {
	line := func(key string) string {
		return "<Contents><Key>" + key + "</Key><Size>1</Size><ETag>e</ETag><LastModified>2025-01-02T03:04:05Z</LastModified></Contents>"
	}
	more := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		if r.URL.Query().Get("continuation-token") != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, "<ListBucketResult>"+more+line("a")+line("b")+line("c")+"</ListBucketResult>")
	}))
	defer server.Close()
	b := open(t, parameters(server.URL))
	for info, err := range b.List(t.Context(), "", "a") {
		if err != nil || info.Key != "b" {
			t.Errorf("the first line is %v, %v", info, err)
		}
		break
	}
	more = "<IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>"
	var last error
	for _, err := range b.List(t.Context(), "", "") {
		last = err
	}
	buckettest.MustBe(t, "a page that is refused", last, driver.ErrDenied)
}

// A URL's parameters are checked before anything is asked, and the error says which.
func TestParametersThatAreRefused(t *testing.T) {
	for text, change := range map[string][2]string{
		"unknown parameter":      {"colour", "blue"},
		"use_path_style must be": {"use_path_style", "perhaps"},
		"ssetype must be one of": {"ssetype", "rot13"},
		"the parameter endpoint": {"endpoint", "ftp://host"},
		"without credentials":    {"endpoint", "http://user:secret@host"},
	} {
		p := parameters("http://127.0.0.1:1")
		p.Set(change[0], change[1])
		_, err := s3driver.Open(t.Context(), "bucket", p, retry)
		if err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %v, want %q", change, err, text)
		}
	}
	p := parameters("http://127.0.0.1:1")
	p.Add("region", "another")
	if _, err := s3driver.Open(t.Context(), "bucket", p, retry); err == nil || !strings.Contains(err.Error(), "region is given 2 times") {
		t.Error(err)
	}
}

// Without credentials, or a region, nothing is opened: the error says what to set.
func TestNoCredentials(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	_, err := s3driver.Open(t.Context(), "bucket", parameters("http://127.0.0.1:1"), retry)
	if buckettest.MustBe(t, "no credentials", err, driver.ErrDenied); !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s3driver.Open(ended, "bucket", parameters("http://127.0.0.1:1"), retry)
	buckettest.MustBe(t, "given up", err, nil)
	p := parameters("http://127.0.0.1:1")
	p.Del("region")
	if _, err = s3driver.Open(t.Context(), "bucket", p, retry); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Error(err)
	}
	p = parameters("http://127.0.0.1:1")
	p.Set("anonymous", "true")
	if b, err := s3driver.Open(t.Context(), "bucket", p, retry); err != nil {
		t.Errorf("anonymous access needs no credentials: %v", err)
	} else if err := b.Close(); err != nil {
		t.Error(err)
	}
}
