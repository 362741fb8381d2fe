package httpretry

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"golang.org/x/oauth2"
)

// call is one request and its tries. One goroutine uses it.
type call struct {
	transport *Transport
	start     time.Time
	attempts  *Attempts
	tries     int
	wait      time.Duration
}

// check decides after each try whether there will be another.
func (c *call) check(ctx context.Context, response *http.Response, err error) (bool, error) {
	c.tries++
	c.attempts.made(response)
	countBilled(ctx, response, err)
	verdict := judge(ctx, response, err)
	if !verdict.again {
		return false, nil
	}
	c.wait = c.nextWait(response)
	if time.Since(c.start)+c.wait > c.transport.options.RetryFor {
		return false, nil
	}
	if !verdict.nothingLanded {
		c.attempts.unclear()
	}
	c.transport.retries.WithLabelValues(verdict.reason).Inc()
	return true, nil
}

// nextWait doubles from try to try; a random part keeps those who failed
// together from coming back together.
func (c *call) nextWait(response *http.Response) time.Duration {
	options := &c.transport.options
	wait := options.MaxWait
	if doublings := c.tries - 1; doublings < 30 {
		wait = min(options.MinWait<<doublings, options.MaxWait)
	}
	wait = wait/2 + rand.N(wait/2+1)
	return max(wait, min(retryAfter(response), maxRetryAfter))
}

// maxRetryAfter bounds what a store may ask for. MinIO asks for a minute with every
// 503 and 429, however short its trouble; a writer that waited so long would lose its
// lease, and one that gave up at once its leadership.
const maxRetryAfter = 3 * time.Second

// backoff implements retryablehttp.Backoff, with what check came to.
func (c *call) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return c.wait }

// giveUp implements retryablehttp.ErrorHandler. The last reply is for the client
// to understand.
func (c *call) giveUp(response *http.Response, err error, tries int) (*http.Response, error) {
	if err == nil {
		return response, nil
	}
	if tries > 1 {
		err = fmt.Errorf("%d tries in %v: %w", tries, time.Since(c.start).Round(time.Millisecond), err)
	}
	return nil, err
}

// verdict is what a try's end means.
type verdict struct {
	again         bool
	nothingLanded bool // the server has surely not done what was asked
	reason        string
}

func judge(ctx context.Context, response *http.Response, err error) verdict {
	if ctx.Err() != nil {
		return verdict{}
	}
	if err != nil {
		return judgeError(ctx, err)
	}
	reason := strconv.Itoa(response.StatusCode)
	switch response.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return verdict{again: true, reason: reason}
	case http.StatusConflict:
		switch errorCode(response) {
		case "ConditionalRequestConflict", "OperationAborted":
			return verdict{again: true, nothingLanded: true, reason: reason}
		}
	case http.StatusBadRequest:
		return verdict{again: errorCode(response) == "RequestTimeout", reason: reason}
	}
	return verdict{}
}

func judgeError(ctx context.Context, err error) verdict {
	var token *oauth2.RetrieveError
	if errors.As(err, &token) && token.Response != nil && token.Response.StatusCode/100 == 4 &&
		token.Response.StatusCode != http.StatusTooManyRequests {
		return verdict{} // the credentials are wrong, and will be
	}
	if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return verdict{}
	}
	again, _ := retryablehttp.DefaultRetryPolicy(ctx, nil, err) // it knows certificate and malformed-request errors
	v := verdict{again: again, reason: "transport"}
	if errors.Is(err, errStalled) {
		v.reason = "stalled"
	}
	var network *net.OpError
	v.nothingLanded = errors.As(err, &network) && network.Op == "dial"
	return v
}

// errorCode is the code of an S3 error document, or empty. The body can be read
// again after it.
func errorCode(response *http.Response) string {
	data, err := io.ReadAll(response.Body)
	*response = *reply(response, data)
	var document struct {
		Code string `xml:"Code"`
	}
	if err != nil || xml.Unmarshal(data, &document) != nil {
		return ""
	}
	return document.Code
}

// retryAfter is what the server asks for, in seconds or as a date, or zero.
func retryAfter(response *http.Response) time.Duration {
	if response == nil {
		return 0
	}
	text := response.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(max(0, min(seconds, 24*3600))) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(date))
	}
	return 0
}
