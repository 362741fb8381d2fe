package s3driver_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// directoryStore is a server that does what the S3 API Reference says of directory
// buckets, and refuses what it says they do not support.
type directoryStore struct {
	*httptest.Server
	objects *memdriver.Bucket
	bucket  string

	mu       sync.Mutex
	life     time.Duration        // of the next session
	sessions map[string]time.Time // until when
	lists    []string             // the queries
}

func startDirectoryStore(t *testing.T, bucket string) *directoryStore {
	s := &directoryStore{objects: memdriver.New(), bucket: bucket, life: 5 * time.Minute, sessions: map[string]time.Time{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *directoryStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	switch {
	case bucket != s.bucket:
		refuse(w, 404, "NoSuchBucket")
	case query.Has("session"):
		s.createSession(w, r)
	case !s.isOpen(r):
		refuse(w, 400, "ExpiredToken")
	case query.Get("list-type") == "2":
		s.list(w, r)
	case key == "" || len(query) > 1 || len(query) == 1 && !query.Has("x-id"):
		refuse(w, 501, "NotImplemented")
	default:
		s.object(w, r, key)
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code></Error>")
}

func (s *directoryStore) createSession(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.Header.Get("Authorization"), "Credential=id/") || !strings.Contains(r.Header.Get("Authorization"), "/s3express/") {
		refuse(w, 403, "AccessDenied")
		return
	}
	s.mu.Lock()
	token, until := rand.Text(), time.Now().Add(s.life)
	s.sessions[token] = until
	s.mu.Unlock()
	type credentials struct {
		SessionToken, SecretAccessKey, AccessKeyId string
		Expiration                                 time.Time
	}
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName     xml.Name `xml:"CreateSessionResult"`
		Credentials credentials
	}{Credentials: credentials{token, "s", "of-the-session", until.UTC()}})
}

func (s *directoryStore) isOpen(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.sessions[r.Header.Get("X-Amz-S3session-Token")])
}

// place is where a key comes in listings: in no order that means anything.
func place(key string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, key)
	return h.Sum64()
}

func (s *directoryStore) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	s.mu.Lock()
	s.lists = append(s.lists, r.URL.RawQuery)
	s.mu.Unlock()
	prefix := query.Get("prefix")
	switch {
	case query.Has("start-after"):
		refuse(w, 501, "NotImplemented")
		return
	case prefix != "" && !strings.HasSuffix(prefix, "/"):
		refuse(w, 400, "InvalidRequest") // "This bucket does not support a prefix that does not end in a delimiter."
		return
	}
	type content struct {
		Key, ETag    string
		Size         int64
		LastModified time.Time
	}
	var page []content
	for info := range s.objects.List(r.Context(), prefix, "") {
		page = append(page, content{info.Key, `"e"`, info.Size, info.Modified.UTC()})
	}
	slices.SortFunc(page, func(a, b content) int { return cmp.Compare(place(a.Key), place(b.Key)) })
	if from, err := strconv.ParseUint(query.Get("continuation-token"), 10, 64); err == nil {
		page = page[slices.IndexFunc(page, func(c content) bool { return place(c.Key) >= from }):]
	}
	next, size := "", 1000
	if n, err := strconv.Atoi(query.Get("max-keys")); err == nil {
		size = min(n, size)
	}
	if len(page) > size {
		next = strconv.FormatUint(place(page[size].Key), 10)
		page = page[:size]
	}
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []content
	}{IsTruncated: next != "", NextContinuationToken: next, Contents: page})
}

func (s *directoryStore) object(w http.ResponseWriter, r *http.Request, key string) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		data, version, err := s.objects.Get(context.WithoutCancel(r.Context()), key)
		if err != nil {
			refuse(w, 404, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", `"`+string(version)+`"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(data)))
	case http.MethodPut:
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var version driver.Version
		if old := r.Header.Get("If-Match"); old != "" {
			version, err = s.objects.Replace(context.WithoutCancel(r.Context()), key, data, driver.Version(strings.Trim(old, `"`)))
		} else if r.Header.Get("If-None-Match") == "*" {
			version, err = s.objects.Create(context.WithoutCancel(r.Context()), key, data)
		} else {
			err = errors.New("a write without a condition")
		}
		if err != nil {
			refuse(w, 412, "PreconditionFailed")
			return
		}
		w.Header().Set("ETag", `"`+string(version)+`"`)
	case http.MethodDelete:
		_ = s.objects.Delete(context.WithoutCancel(r.Context()), key)
		w.WriteHeader(204)
	}
}
