// Package bucketurl opens a bucket by its URL.
//
//	file:///var/lib/scheduler-store                        a directory
//	file://./scheduler-store-data                          a directory, from where the process runs
//	s3://bucket/cells/prod?region=us-east-1                S3
//	s3://bucket/cells/prod?endpoint=http://127.0.0.1:9000&use_path_style=true&region=us-east-1
//	                                                       MinIO, and other servers like it
//	gs://bucket/cells/prod                                 Google Cloud Storage
//	mem://name                                             memory, shared by all who open that name
//
// The path after a bucket's name is put before all keys. Credentials never are
// in the URL; they come from where the AWS and Google tools look for them.
package bucketurl

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/filedriver"
	"github.com/scheduler-store/scheduler-store/bucket/gsdriver"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/bucket/s3driver"
	"github.com/scheduler-store/scheduler-store/internal/credential"
)

// Options of Open. The zero value is good.
type Options struct {
	// Registerer takes the metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	// RetryFor is how long a failing request to s3 or gs is tried again; 30 s if
	// zero. More than 15 minutes does not work with S3's signatures.
	RetryFor time.Duration
	// Unchecked leaves out the listing: the bucket need not be there yet.
	Unchecked bool
}

// ErrURL: the URL is not that of a bucket.
var ErrURL = errors.New("invalid store URL")

const forms = "want file:///directory, s3://bucket/prefix?region=…, gs://bucket/prefix or mem://name"

// Open opens the bucket at a URL, and asks it for one listing, so that a bucket
// that is missing or may not be used is known at once: the error then matches
// bucket.ErrNoBucket or bucket.ErrDenied. No error has a secret in it.
func Open(ctx context.Context, rawURL string, options Options) (*bucket.Bucket, error) {
	d, location, err := OpenDriver(ctx, rawURL, options)
	if err != nil {
		return nil, err
	}
	b := bucket.New(d, location.String(), location.Prefix, bucket.Options{Registerer: options.Registerer, Provider: location.Provider()})
	if options.Unchecked {
		return b, nil
	}
	for _, err := range b.List(ctx, "", "") {
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open %s: %w", location, err), b.Close())
		}
		break
	}
	return b, nil
}

// OpenDriver opens the driver of the bucket at a URL, for who puts something between it
// and a bucket.Bucket, such as latencies. Nothing is asked of the store; the driver's
// keys are without the location's prefix.
func OpenDriver(ctx context.Context, rawURL string, options Options) (driver.Bucket, Location, error) {
	location, err := Parse(rawURL)
	if err != nil {
		return nil, location, err
	}
	d, err := location.open(ctx, options)
	if err != nil {
		return nil, location, fmt.Errorf("open %s: %w", location, err)
	}
	return d, location, nil
}

// Location is a parsed URL.
type Location struct {
	Scheme     string // file, s3, gs or mem
	Bucket     string // a name; for file, the directory's absolute path
	Prefix     string // before all keys, without slashes at its ends; empty for file and mem
	Parameters url.Values
}

// String is the URL without its parameters.
func (l Location) String() string {
	u := url.URL{Scheme: l.Scheme, Host: l.Bucket, Path: l.Prefix}
	if l.Scheme == "file" {
		u.Host, u.Path = "", l.Bucket
	}
	return u.String()
}

// Parse takes a URL apart. Its errors match ErrURL. They quote no part of the URL
// that may hold a secret.
func Parse(rawURL string) (Location, error) {
	scheme, rest, found := strings.Cut(rawURL, "://")
	if !found {
		return Location{}, fmt.Errorf("%w: it has no scheme; %s", ErrURL, forms)
	}
	if !slices.Contains([]string{"file", "s3", "gs", "mem"}, scheme) {
		return Location{}, fmt.Errorf("%w: the scheme %.20q is not known; %s", ErrURL, scheme, forms)
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Opaque != "" || u.Fragment != "" || strings.HasSuffix(rest, "#") {
		return Location{}, fmt.Errorf("%w: it cannot be read as a URL (odd characters are written %%XX); %s", ErrURL, forms)
	}
	// A secret may have slashes in it: then what comes before the first of them looks like a port.
	if u.User != nil || u.Port() != "" && strings.Contains(u.Path, "@") {
		return Location{}, fmt.Errorf("%w: it holds credentials before an @; %s", ErrURL, elsewhere(scheme))
	}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Location{}, fmt.Errorf("%w: its parameters cannot be read (want ?name=value&name=value)", ErrURL)
	}
	if err := checkParameters(scheme, parameters); err != nil {
		return Location{}, err
	}
	l := Location{Scheme: scheme, Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), Parameters: parameters}
	switch scheme {
	case "file":
		err = l.directory(u)
	case "mem":
		err = l.memory()
	default:
		err = l.object(u)
	}
	return l, err
}

func (l *Location) directory(u *url.URL) error {
	directory := u.Path
	switch u.Host {
	case "", "localhost":
	case ".", "..":
		directory = u.Host + u.Path
	default:
		return fmt.Errorf("%w: a directory's URL has three slashes, or begins with a dot: file:///%s, or file://./%s", ErrURL, u.Host+u.Path, u.Host+u.Path)
	}
	if strings.Contains(directory, "\x00") {
		return fmt.Errorf("%w: its path has a zero byte, which no directory's has", ErrURL)
	}
	if directory == "" {
		return fmt.Errorf("%w: it names no directory; want file:///directory", ErrURL)
	}
	absolute, err := filepath.Abs(directory)
	l.Bucket, l.Prefix = absolute, ""
	return err
}

func (l *Location) memory() error {
	if l.Bucket == "" || l.Prefix != "" {
		return fmt.Errorf("%w: want mem://name", ErrURL)
	}
	return nil
}

func (l *Location) object(u *url.URL) error {
	if l.Bucket == "" {
		return fmt.Errorf("%w: it names no bucket; want %s://bucket/prefix", ErrURL, l.Scheme)
	}
	if u.Port() != "" || strings.Contains(u.Host, ":") {
		return fmt.Errorf("%w: %q has a port, so it is a server and no bucket; want s3://bucket/prefix?endpoint=http://%s", ErrURL, u.Host, u.Host)
	}
	if l.Prefix != "" {
		if err := driver.CheckKey(l.Prefix); err != nil {
			return fmt.Errorf("%w: its path cannot be before a key: %w", ErrURL, err)
		}
	}
	return nil
}

// checkParameters refuses what looks like a secret before anything can print it.
func checkParameters(scheme string, parameters url.Values) error {
	for name := range parameters {
		if word := credential.Named(name); word != "" {
			return fmt.Errorf("%w: a parameter with %q in its name would hold a credential; %s", ErrURL, word, elsewhere(scheme))
		}
		if scheme == "file" || scheme == "mem" {
			return fmt.Errorf("%w: %s:// has no parameters; leave out what comes after the ?", ErrURL, scheme)
		}
	}
	return nil
}

func elsewhere(scheme string) string {
	switch scheme {
	case "s3":
		return "give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role"
	case "gs":
		return "give them as GOOGLE_APPLICATION_CREDENTIALS, or by gcloud auth application-default login"
	}
	return "none are needed"
}

func (l Location) open(ctx context.Context, options Options) (driver.Bucket, error) {
	retry := httpretry.Options{RetryFor: options.RetryFor, Registerer: options.Registerer}
	switch l.Scheme {
	case "file":
		return filedriver.Open(l.Bucket)
	case "s3":
		return s3driver.Open(ctx, l.Bucket, l.Parameters, retry)
	case "gs":
		return gsdriver.Open(ctx, l.Bucket, l.Parameters, retry)
	}
	return memory(l.Bucket), nil
}

// The buckets of mem URLs, which all of a process share: that is what a name in
// memory can mean. They are the one state that this package keeps.
var (
	memoryMu sync.Mutex
	memories = map[string]*memdriver.Bucket{}
)

func memory(name string) *memdriver.Bucket {
	memoryMu.Lock()
	defer memoryMu.Unlock()
	b := memories[name]
	if b == nil {
		b = memdriver.New()
		memories[name] = b
	}
	return b
}
