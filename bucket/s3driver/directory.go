package s3driver

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// IsDirectoryBucket tells whether a bucket is one of S3 Express One Zone, or an access
// point of one, by its name: S3 keeps these ends for them ("Directory bucket naming
// rules"), and the client goes by them too. It asks for a session (CreateSession), signs
// with it, and gets a new one before it ends.
//
// What else differs, by the S3 API Reference:
//   - a listing comes in no order, and start-after is not supported (ListObjectsV2);
//   - only prefixes that end with a slash are supported (ListObjectsV2);
//   - an ETag is not made of the content (PutObject);
//   - there are no versions, no object lock and no public access ("How is S3 Express One
//     Zone different?").
func IsDirectoryBucket(name string) bool {
	return strings.HasSuffix(name, "--x-s3") || strings.HasSuffix(name, "--xa-s3")
}

// checkDirectory refuses the parameters that a directory bucket can't have. The session,
// and not the request, says how objects are encrypted, and the client makes it with what
// the bucket's own default says.
func checkDirectory(name string, parameters url.Values) error {
	if !IsDirectoryBucket(name) {
		return nil
	}
	for _, parameter := range []string{"ssetype", "kmskeyid"} {
		if parameters.Has(parameter) {
			return fmt.Errorf("%s is a directory bucket, which encrypts objects as its own default says: set that, and leave out the parameter %s", name, parameter)
		}
	}
	return nil
}

// listing is what is asked for to get the objects of a prefix, after a key.
type listing struct {
	prefix     string
	startAfter string
}

// listingOf is what the store can be asked for; it may give more.
func (b *Bucket) listingOf(prefix, after string) listing {
	if b.isDirectory {
		return listing{prefix: prefix[:strings.LastIndexByte(prefix, '/')+1]}
	}
	return listing{prefix, after}
}

// directorySettings are the settings of a directory bucket that nobody can change.
func directorySettings() driver.Settings {
	return driver.Settings{
		PublicBlocked: driver.Setting[bool]{Value: true},
		Room:          driver.Setting[driver.Room]{Err: errors.ErrUnsupported},
	}
}
