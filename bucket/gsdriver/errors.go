package gsdriver

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/storage"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
)

// overloaded are the reasons of a 403 that speak of how much, not of who.
var overloaded = []string{"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"}

// answerOf is the store's own error, or nil if it said nothing.
func (b *Bucket) answerOf(err error) *googleapi.Error {
	var answer *googleapi.Error
	if err == nil || !errors.As(err, &answer) && !b.blob.ErrorAs(err, &answer) {
		return nil
	}
	return answer
}

func (b *Bucket) status(err error) int {
	if answer := b.answerOf(err); answer != nil {
		return answer.Code
	}
	return 0
}

// objectError maps what a request for one object ended with.
func (b *Bucket) objectError(err error) error {
	if err == nil {
		return nil
	}
	if isRefusal(err) {
		return fmt.Errorf("%w: %w", driver.ErrDenied, err)
	}
	answer := b.answerOf(err)
	switch {
	case answer == nil && errors.Is(err, storage.ErrObjectNotExist):
		return fmt.Errorf("%w: %w", driver.ErrNotExist, err)
	case answer == nil && errors.As(err, new(x509.UnknownAuthorityError)):
		return fmt.Errorf("nobody here knows the authority of the store's certificate; name the file of its own in SSL_CERT_FILE: %w", err)
	case answer == nil:
		return err
	case answer.Code == http.StatusNotFound && strings.Contains(answer.Body+answer.Message, "bucket does not exist"):
		return fmt.Errorf("%w: %w", driver.ErrNoBucket, err)
	case answer.Code == http.StatusNotFound:
		return fmt.Errorf("%w: %w", driver.ErrNotExist, err)
	case answer.Code == http.StatusUnauthorized, answer.Code == http.StatusForbidden && !isOverloaded(answer):
		return fmt.Errorf("%w: %w", driver.ErrDenied, err)
	}
	return err
}

func (b *Bucket) listError(err error) error {
	err = b.objectError(err)
	if errors.Is(err, driver.ErrNotExist) { // of a listing, only the bucket can be missing
		return fmt.Errorf("%w: %v", driver.ErrNoBucket, err)
	}
	return err
}

// writeError maps what a write ended with; unmet is what it means that its
// condition did not hold.
func (b *Bucket) writeError(err, unmet error, attempts *httpretry.Attempts) error {
	if err == nil {
		return nil
	}
	if unmet != nil && b.status(err) == http.StatusPreconditionFailed {
		return fmt.Errorf("%w: %w", unmet, err)
	}
	mapped := b.objectError(err)
	if errors.Is(mapped, driver.ErrDenied) && attempts.Unsure() {
		return fmt.Errorf("refused, after a try whose outcome is not known: %w", err)
	}
	return mapped
}

// isRefusal says that no token could be had, for who asks for it.
func isRefusal(err error) bool {
	var token *oauth2.RetrieveError
	return errors.As(err, &token) && token.Response != nil && token.Response.StatusCode/100 == 4 &&
		token.Response.StatusCode != http.StatusTooManyRequests
}

// isOverloaded looks into the body too: of a read the client leaves it as it came.
func isOverloaded(answer *googleapi.Error) bool {
	var document struct {
		Error struct{ Errors []googleapi.ErrorItem }
	}
	_ = json.Unmarshal([]byte(answer.Body), &document) // if it is another body it has no reasons
	return slices.ContainsFunc(append(document.Error.Errors, answer.Errors...), func(item googleapi.ErrorItem) bool {
		return slices.Contains(overloaded, item.Reason)
	})
}
