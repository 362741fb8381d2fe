package server

import (
	"crypto/sha256"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// bodyType is what a transaction comes as.
type bodyType string

const (
	jsonBody   bodyType = "application/json"
	thriftBody bodyType = "application/vnd.apache.thrift.binary"
	// formBody is what curl -d says unless told otherwise.
	formBody bodyType = "application/x-www-form-urlencoded"
)

func unsupportedType(what, want string) *problem {
	p := newProblem(http.StatusUnsupportedMediaType, "unsupported-type", "unsupported type", "%s; want %s", what, want)
	p.Parameter = "Content-Type"
	return p
}

// bodyTypeOf reads Content-Type. What is not said at all, or by curl without being
// asked, counts as JSON.
func bodyTypeOf(h http.Header) (bodyType, error) {
	unsupported := func(what string) error {
		return unsupportedType(what, fmt.Sprintf("%s, or a Transaction as %s", jsonBody, thriftBody))
	}
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", unsupported("the body is encoded as " + strconv.Quote(encoding))
	}
	given := h.Values("Content-Type")
	if len(given) == 0 {
		return jsonBody, nil
	}
	name, parameters, err := mime.ParseMediaType(given[0])
	if err != nil || len(given) > 1 {
		return "", unsupported("the Content-Type can't be read")
	}
	switch bodyType(name) {
	case jsonBody, formBody:
		if charset, ok := parameters["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
			return "", unsupported("JSON is UTF-8, not " + strconv.Quote(charset))
		}
		return jsonBody, nil
	case thriftBody:
		return thriftBody, nil
	}
	return "", unsupported("the body is " + strconv.Quote(name))
}

// conditions reads the headers that say when a transaction is to happen.
func conditions(h http.Header) (o durability.WriteOptions, err error) {
	if o.After, err = ifMatch(h.Values("If-Match")); err != nil {
		return o, err
	}
	o.Key, err = idempotencyKey(h.Values("Idempotency-Key"))
	return o, err
}

// ifMatch reads the number of the last transaction, as the ETag that reads have.
func ifMatch(values []string) (*persistence.TransactionNumber, error) {
	refuse := func(why string) (*persistence.TransactionNumber, error) {
		return nil, badParameter("If-Match", "%s; want the number of the last transaction in quotation marks, such as \"40\"", why)
	}
	if len(values) == 0 {
		return nil, nil
	}
	value := strings.TrimSpace(values[0])
	switch {
	case len(values) > 1 || strings.Contains(value, ","):
		return refuse("there is more than one number")
	case value == "*":
		return refuse("* is not a condition here, as there is always a state; leave the header out")
	case strings.HasPrefix(value, "W/"):
		return refuse("a weak tag never matches")
	}
	n, ok := parseETag(value)
	if !ok {
		return refuse(strconv.Quote(value) + " is not one")
	}
	return &n, nil
}

// etag names the state after a transaction.
func etag(n persistence.TransactionNumber) string {
	return `"` + strconv.FormatUint(uint64(n), 10) + `"`
}

// parseETag reads what etag writes, and nothing else.
func parseETag(tag string) (persistence.TransactionNumber, bool) {
	n, err := strconv.ParseUint(strings.Trim(tag, `"`), 10, 64)
	number := persistence.TransactionNumber(n)
	return number, err == nil && etag(number) == tag
}

// maxKey is the most characters of an idempotency key.
const maxKey = 255

func idempotencyKey(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(values) > 1 || key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
		return "", badParameter("Idempotency-Key", "want it once, of 1 to %d printable ASCII characters", maxKey)
	}
	return key, nil
}

// fingerprint tells a repeat of a request from another one. No body is a
// transaction in both types, so the type is not part of it.
func fingerprint(body []byte) []byte {
	sum := sha256.Sum256(body)
	return sum[:]
}
