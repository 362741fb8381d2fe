package s3driver

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
)

// refusals are the codes with which a request is refused for who makes it. Some
// come with status 400.
var refusals = []string{
	"AccessDenied", "AccountProblem", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken",
	"NotSignedUp", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired",
}

// answer is what the store said; status is 0 if it said nothing.
type answer struct {
	status int
	code   string
}

func answerOf(err error) answer {
	var a answer
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		a.status = response.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		a.code = api.ErrorCode()
	}
	return a
}

func (a answer) isRefusal() bool {
	return a.status == http.StatusUnauthorized || a.status == http.StatusForbidden || slices.Contains(refusals, a.code)
}

// readError maps what a read ended with. "Not there" must be said by S3 itself: a
// 404 without its code comes from something in between, and tells nothing about
// the object.
func readError(err error) error {
	if err == nil {
		return nil
	}
	switch a := answerOf(err); {
	case a.code == "NoSuchBucket":
		return fmt.Errorf("%w: %w", driver.ErrNoBucket, err)
	case a.code == "NoSuchKey":
		return fmt.Errorf("%w: %w", driver.ErrNotExist, err)
	case a.isRefusal():
		return fmt.Errorf("%w: %w", driver.ErrDenied, err)
	case a.status == http.StatusMovedPermanently, a.status == http.StatusTemporaryRedirect, a.code == "AuthorizationHeaderMalformed":
		return fmt.Errorf("the bucket is in another region; name it with region= in the URL: %w", err)
	case a.status == http.StatusNotFound:
		return fmt.Errorf("the endpoint does not answer like S3; look at endpoint= and use_path_style= in the URL: %w", err)
	}
	if errors.As(err, new(x509.UnknownAuthorityError)) {
		return fmt.Errorf("nobody here knows the authority of the store's certificate; name the file of its own in AWS_CA_BUNDLE: %w", err)
	}
	return err
}

func listError(err error) error {
	err = readError(err)
	if errors.Is(err, driver.ErrNotExist) { // of a listing, only the bucket can be missing
		return fmt.Errorf("%w: %v", driver.ErrNoBucket, err)
	}
	return err
}

// writeError maps what a write ended with; unmet is what it means that its
// condition did not hold.
func writeError(err, unmet error, attempts *httpretry.Attempts) error {
	if err == nil {
		return nil
	}
	if unmet != nil && answerOf(err).status == http.StatusPreconditionFailed {
		return fmt.Errorf("%w: %w", unmet, err)
	}
	mapped := readError(err)
	if errors.Is(mapped, driver.ErrDenied) && attempts.Unsure() {
		return fmt.Errorf("refused, after a try whose outcome is not known: %w", err)
	}
	return mapped
}

// isBeyondEnd says that a range begins at or beyond the object's end.
func isBeyondEnd(err error) bool {
	a := answerOf(err)
	return a.code == "InvalidRange" || a.status == http.StatusRequestedRangeNotSatisfiable
}
