package httpretry

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// countBilled counts a try, unless it costs nothing: S3 and GCS take no money for a 5xx
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/ErrorCodeBilling.html,
// https://cloud.google.com/storage/pricing), and what found no connection was never
// sent. A try without an answer may have been one that counts.
func countBilled(ctx context.Context, response *http.Response, err error) {
	var network *net.OpError
	switch {
	case response != nil && response.StatusCode >= http.StatusInternalServerError:
	case errors.As(err, &network) && network.Op == "dial":
	default:
		driver.Sent(ctx, response != nil && response.StatusCode >= http.StatusBadRequest)
	}
}
