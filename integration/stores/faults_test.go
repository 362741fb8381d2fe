package stores_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/buckettest/faultproxy"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/gsdriver"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
	"github.com/scheduler-store/scheduler-store/bucket/s3driver"
	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// quick are tries that follow each other fast, so that a test of many is short.
var quick = httpretry.Options{
	RetryFor: 5 * time.Second, StallAfter: 300 * time.Millisecond, MinWait: 2 * time.Millisecond, MaxWait: 20 * time.Millisecond,
}

// store is a store behind a fault proxy.
type store struct {
	proxy *faultproxy.Proxy
	open  func(ctx context.Context, bucketName string, retry httpretry.Options) (driver.Bucket, error)
	sign  func(*http.Request) error
	isS3  bool
}

const bucketName = "faults"

// eachStore runs a test on both kinds of store.
func eachStore(t *testing.T, run func(t *testing.T, s *store)) {
	t.Run("s3", func(t *testing.T) {
		gateway := servers.StartVersityGW(t)
		gateway.UseCredentials(t)
		gateway.MakeBucket(t, bucketName)
		run(t, s3Store(t, gateway))
	})
	t.Run("gs", func(t *testing.T) {
		gcs := servers.StartGCS(t)
		gcs.MakeBucket(t, bucketName)
		proxy := faultproxy.Start(t, "http://"+gcs.Host, faultproxy.Options{RewriteHost: true})
		servers.UseGCS(t, proxy.Host)
		run(t, &store{proxy: proxy, open: func(ctx context.Context, name string, retry httpretry.Options) (driver.Bucket, error) {
			return gsdriver.Open(ctx, name, nil, retry)
		}})
	})
}

func s3Store(t *testing.T, server *servers.S3) *store {
	proxy := faultproxy.Start(t, server.Endpoint, faultproxy.Options{})
	return &store{
		proxy: proxy, isS3: true,
		open: func(ctx context.Context, name string, retry httpretry.Options) (driver.Bucket, error) {
			return s3driver.Open(ctx, name, url.Values{"endpoint": {proxy.URL}, "use_path_style": {"true"}, "region": {server.Region}}, retry)
		},
		sign: server.Sign,
	}
}

// bucket opens the store with a prefix of its own.
func (s *store) bucket(t *testing.T, retry httpretry.Options) *bucket.Bucket {
	t.Helper()
	d, err := s.open(t.Context(), bucketName, retry)
	if err != nil {
		t.Fatal(err)
	}
	b := bucket.New(d, "the store", rand.Text(), bucket.Options{})
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	s.proxy.Heal()
	s.proxy.Forget()
	return b
}

func unique(text string) []byte { return []byte(text + " " + rand.Text()) }

var writes = faultproxy.Method(http.MethodPut, http.MethodPost)

// faultsOfWrites are all that may happen to one try of a write.
func (s *store) faultsOfWrites() map[string]faultproxy.Action {
	faults := map[string]faultproxy.Action{
		"500":                    faultproxy.Answer(500, "InternalError"),
		"502":                    faultproxy.Answer(502, "x"),
		"503":                    faultproxy.Answer(503, "SlowDown"),
		"429":                    faultproxy.Answer(429, "TooManyRequests"),
		"408":                    faultproxy.Answer(408, "x"),
		"reset before":           faultproxy.ResetBefore,
		"reset in the body":      faultproxy.ResetInBody,
		"applied, reply lost":    faultproxy.LoseReply,
		"applied, 500":           faultproxy.AnswerAfter(500, "InternalError"),
		"applied, 503":           faultproxy.AnswerAfter(503, "SlowDown"),
		"applied, no reply":      faultproxy.StallAfter,
		"applied, reply cut off": faultproxy.CutReply,
	}
	if s.isS3 {
		faults["409"] = faultproxy.Answer(409, "ConditionalRequestConflict")
		delete(faults, "applied, reply cut off") // it has no body
	}
	return faults
}

func mustHold(t *testing.T, b *bucket.Bucket, key string, data []byte, version bucket.Version) {
	t.Helper()
	object, err := b.Get(t.Context(), key)
	if err != nil || !bytes.Equal(object.Data, data) || object.Version != version {
		t.Fatalf("%s holds %.80q at %s (error %v), want %.80q at %s", key, object.Data, object.Version, err, data, version)
	}
}

// TestFaultsOfCreate: whatever becomes of a try, who won is known in the end.
func TestFaultsOfCreate(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		for name, fault := range s.faultsOfWrites() {
			t.Run(name, func(t *testing.T) {
				b := s.bucket(t, quick)
				for i, data := range [][]byte{unique("small"), bytes.Repeat(unique("large"), 100_000)} {
					key := fmt.Sprintf("mine/%d", i)
					s.proxy.Inject(faultproxy.Fault{Match: writes, Do: fault})
					version, err := b.Create(t.Context(), key, data)
					if err != nil {
						t.Fatalf("mine: %v", err)
					}
					mustHold(t, b, key, data, version)
				}

				theirs := unique("theirs")
				version, err := b.Create(t.Context(), "theirs", theirs)
				if err != nil {
					t.Fatal(err)
				}
				s.proxy.Inject(faultproxy.Fault{Match: writes, Do: fault})
				if _, err := b.Create(t.Context(), "theirs", unique("mine")); !errors.Is(err, bucket.ErrExists) {
					t.Fatalf("theirs: error %v", err)
				}
				mustHold(t, b, "theirs", theirs, version)
			})
		}
	})
}

func TestFaultsOfReplace(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		for name, fault := range s.faultsOfWrites() {
			t.Run(name, func(t *testing.T) {
				b := s.bucket(t, quick)
				first, err := b.Create(t.Context(), "lease", unique("1"))
				if err != nil {
					t.Fatal(err)
				}
				two := unique("2")
				s.proxy.Inject(faultproxy.Fault{Match: writes, Do: fault})
				second, err := b.Replace(t.Context(), "lease", two, first)
				if err != nil {
					t.Fatalf("mine: %v", err)
				}
				mustHold(t, b, "lease", two, second)

				s.proxy.Inject(faultproxy.Fault{Match: writes, Do: fault})
				if _, err := b.Replace(t.Context(), "lease", unique("stale"), first); !errors.Is(err, bucket.ErrChanged) {
					t.Fatalf("stale: error %v", err)
				}
				mustHold(t, b, "lease", two, second)
			})
		}
	})
}

// TestReplaceWhoseReplyIsLostAndWhoseObjectIsReplacedAgain: ours landed, but it
// is gone by the time that we look.
func TestReplaceWhoseReplyIsLostAndWhoseObjectIsReplacedAgain(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		b, other := s.bucket(t, quick), unique("other")
		version, err := b.Create(t.Context(), "lease", unique("1"))
		if err != nil {
			t.Fatal(err)
		}
		s.proxy.Inject(faultproxy.Fault{Match: writes, Do: faultproxy.LoseReplyAfter(func() {
			object, err := b.Get(t.Context(), "lease")
			if err == nil {
				_, err = b.Replace(t.Context(), "lease", other, object.Version)
			}
			if err != nil {
				t.Errorf("other: %v", err)
			}
		})})
		if _, err := b.Replace(t.Context(), "lease", unique("2"), version); !errors.Is(err, bucket.ErrChanged) {
			t.Fatalf("error %v", err)
		}
	})
}

func TestFaultsOfReads(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		b, data := s.bucket(t, quick), bytes.Repeat(unique("x"), 50_000)
		version, err := b.Create(t.Context(), "log/1", data)
		if err != nil {
			t.Fatal(err)
		}
		for name, fault := range map[string]faultproxy.Action{
			"500":             faultproxy.Answer(500, "InternalError"),
			"503":             faultproxy.Answer(503, "SlowDown"),
			"429":             faultproxy.Answer(429, "TooManyRequests"),
			"reset":           faultproxy.ResetBefore,
			"reply lost":      faultproxy.LoseReply,
			"reply cut off":   faultproxy.CutReply,
			"reply never":     faultproxy.StallAfter,
			"reply half, 500": faultproxy.AnswerAfter(500, "InternalError"),
		} {
			for _, times := range []int{1, 5} {
				t.Run(fmt.Sprintf("%s, %d times", name, times), func(t *testing.T) {
					inject := func() {
						s.proxy.Heal()
						s.proxy.Inject(faultproxy.Fault{Match: faultproxy.Method(http.MethodGet), Times: times, Do: fault})
					}
					inject()
					mustHold(t, b, "log/1", data, version)
					inject()
					part, err := b.GetRange(t.Context(), "log/1", 1000, 200_000)
					if err != nil || !bytes.Equal(part, data[1000:201_000]) {
						t.Fatalf("range: %d bytes, error %v", len(part), err)
					}
					inject()
					if _, err := b.Get(t.Context(), "log/2"); !errors.Is(err, bucket.ErrNotExist) {
						t.Fatalf("missing: error %v", err)
					}
					inject()
					found := 0
					for info, err := range b.List(t.Context(), "log/", "") {
						if err != nil || info.Key != "log/1" || info.Size != int64(len(data)) {
							t.Fatalf("listed %+v, error %v", info, err)
						}
						found++
					}
					if found != 1 {
						t.Fatalf("listed %d objects", found)
					}
				})
			}
		}
	})
}

func TestFaultsOfDelete(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		b := s.bucket(t, quick)
		for name, fault := range map[string]faultproxy.Action{
			"500": faultproxy.Answer(500, "InternalError"), "reset": faultproxy.ResetBefore, "applied, reply lost": faultproxy.LoseReply,
		} {
			if _, err := b.Create(t.Context(), "k", unique("x")); err != nil {
				t.Fatal(err)
			}
			s.proxy.Inject(faultproxy.Fault{Match: faultproxy.Method(http.MethodDelete), Do: fault})
			if err := b.Delete(t.Context(), "k"); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, err := b.Get(t.Context(), "k"); !errors.Is(err, bucket.ErrNotExist) {
				t.Fatalf("%s: error %v", name, err)
			}
		}
	})
}

// TestOutage: nothing answers for much longer than a few tries take.
func TestOutage(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		b, data := s.bucket(t, quick), unique("x")
		s.proxy.Inject(faultproxy.Fault{Times: 60, Do: faultproxy.ResetBefore})
		version, err := b.Create(t.Context(), "k", data)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(s.proxy.Requests()); n != 61 {
			t.Fatalf("%d requests; one layer tries again, once each time", n)
		}
		mustHold(t, b, "k", data, version)
	})
}

// TestOutageWithoutEnd: what is given up is neither won nor lost.
func TestOutageWithoutEnd(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		for name, fault := range map[string]faultproxy.Action{
			"resets": faultproxy.ResetBefore, "503": faultproxy.Answer(503, "SlowDown"),
			"404 of something else": func(_ *faultproxy.Proxy, w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte("<html>nothing here</html>"))
			},
		} {
			if !s.isS3 && name == "404 of something else" {
				continue // the emulator's own answers cannot be told from it
			}
			retry := quick
			retry.RetryFor = 200 * time.Millisecond
			b := s.bucket(t, retry)
			s.proxy.Inject(faultproxy.Fault{Times: -1, Do: fault})
			_, created := b.Create(t.Context(), "k", unique("x"))
			_, replaced := b.Replace(t.Context(), "k", unique("x"), "1")
			_, got := b.Get(t.Context(), "k")
			for operation, err := range map[string]error{"create": created, "replace": replaced, "get": got, "delete": b.Delete(t.Context(), "k")} {
				if err == nil {
					t.Errorf("%s, %s: no error", name, operation)
				}
				for _, sentinel := range []error{bucket.ErrExists, bucket.ErrChanged, bucket.ErrDenied, bucket.ErrNotExist, bucket.ErrNoBucket} {
					if errors.Is(err, sentinel) {
						t.Errorf("%s, %s: %v is known as %v", name, operation, err, sentinel)
					}
				}
			}
		}
	})
}

// TestALateWrite: its sender gave up; it lands long after, or finds the key taken.
func TestALateWrite(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		retry := quick
		retry.StallAfter = time.Minute
		b := s.bucket(t, retry)
		for _, taken := range []bool{false, true} {
			key, late := fmt.Sprintf("taken-%t", taken), unique("late")
			s.proxy.Inject(faultproxy.Fault{Match: writes, Do: faultproxy.Hold})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			_, err := b.Create(ctx, key, late)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, bucket.ErrExists) || errors.Is(err, bucket.ErrDenied) {
				t.Fatalf("error %v", err)
			}
			if _, err := b.Get(t.Context(), key); !errors.Is(err, bucket.ErrNotExist) {
				t.Fatalf("error %v", err)
			}
			want := late
			if taken {
				want = unique("first")
				if _, err := b.Create(t.Context(), key, want); err != nil {
					t.Fatal(err)
				}
			}
			status, err := s.proxy.Release()
			if err != nil || (status == http.StatusPreconditionFailed) != taken {
				t.Fatalf("the late write is answered %d, %v", status, err)
			}
			if object, err := b.Get(t.Context(), key); err != nil || !bytes.Equal(object.Data, want) {
				t.Fatalf("%s holds %q, %v", key, object.Data, err)
			}
		}
	})
}

// TestARefusalAfterAnUnclearTry is no proof that nothing was written.
func TestARefusalAfterAnUnclearTry(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		b := s.bucket(t, quick)
		version, err := b.Create(t.Context(), "lease", unique("1"))
		if err != nil {
			t.Fatal(err)
		}
		s.proxy.Inject(faultproxy.Fault{Match: writes, Do: faultproxy.Answer(403, "AccessDenied")})
		if _, err := b.Create(t.Context(), "k", unique("x")); !errors.Is(err, bucket.ErrDenied) {
			t.Fatalf("a plain refusal: %v", err)
		}
		unclear := func() {
			s.proxy.Heal()
			s.proxy.Inject(faultproxy.Fault{Match: writes, Do: faultproxy.LoseReply})
			s.proxy.Inject(faultproxy.Fault{Match: writes, Do: faultproxy.Answer(403, "AccessDenied")})
		}
		unclear()
		if _, err := b.Create(t.Context(), "k", unique("x")); err == nil || errors.Is(err, bucket.ErrDenied) {
			t.Fatalf("create: %v", err)
		}
		unclear()
		if _, err := b.Replace(t.Context(), "lease", unique("2"), version); err == nil || errors.Is(err, bucket.ErrDenied) {
			t.Fatalf("replace: %v", err)
		}
		if _, err := b.Get(t.Context(), "k"); err != nil {
			t.Fatalf("it had landed, after all: %v", err)
		}
		// The same when the refusal is of the read that should tell whose it is.
		s.proxy.Inject(faultproxy.Fault{Match: faultproxy.Method(http.MethodGet), Do: faultproxy.Answer(403, "AccessDenied")})
		if _, err := b.Create(t.Context(), "k", unique("y")); err == nil || errors.Is(err, bucket.ErrDenied) || errors.Is(err, bucket.ErrExists) {
			t.Fatalf("create: %v", err)
		}
	})
}

func TestAStoreThatIgnoresConditionsIsRefused(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		b, data := s.bucket(t, quick), unique("cell")
		version, err := b.Create(t.Context(), "cell.json", data)
		if err != nil {
			t.Fatal(err)
		}
		object := bucket.Object{Data: data, Version: version}
		if err := b.CheckConditions(t.Context(), "cell.json", object); err != nil {
			t.Fatal(err)
		}
		for _, skip := range []int{0, 1} { // the first is put-if-absent, the second compare-and-swap
			s.proxy.Inject(faultproxy.Fault{Match: writes, Skip: skip, Do: faultproxy.IgnoreConditions(s.sign)})
			if err := b.CheckConditions(t.Context(), "cell.json", object); !errors.Is(err, bucket.ErrConditionsIgnored) {
				t.Fatalf("error %v", err)
			}
			now, err := b.Get(t.Context(), "cell.json")
			if err != nil || !bytes.Equal(now.Data, data) {
				t.Fatalf("the check did harm: %q, %v", now.Data, err)
			}
			object = now
		}
	})
}

func TestRequestsPerOperation(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		b := s.bucket(t, quick)
		count := func(operation string, run func() error) {
			t.Helper()
			s.proxy.Forget()
			if err := run(); err != nil {
				t.Fatalf("%s: %v", operation, err)
			}
			if requests := s.proxy.Requests(); len(requests) != 1 {
				t.Errorf("%s makes %d requests: %+v", operation, len(requests), requests)
			}
		}
		var version bucket.Version
		count("create", func() (err error) { version, err = b.Create(t.Context(), "k", unique("1")); return err })
		count("replace", func() (err error) { version, err = b.Replace(t.Context(), "k", unique("2"), version); return err })
		count("get", func() error { _, err := b.Get(t.Context(), "k"); return err })
		count("range", func() error { _, err := b.GetRange(t.Context(), "k", 0, 1); return err })
		count("list", func() error {
			for _, err := range b.List(t.Context(), "", "") {
				return err
			}
			return nil
		})
		count("delete", func() error { return b.Delete(t.Context(), "k") })
	})
}
