package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/scheduler-store/scheduler-store/schema"
)

// maxRequestBytes bounds the body of a request that is not a transaction.
const maxRequestBytes = 16 << 10

// readBody reads the body of a request that is not too large; advice says what to do
// about one that is. What says that it is too large is not read at all. from is r.Body,
// perhaps wrapped: r keeps its own, at which the server looks when it closes.
func readBody(w http.ResponseWriter, r *http.Request, from io.ReadCloser, most int64, advice string) ([]byte, error) {
	refuse := func() error {
		w.Header().Set("Connection", "close") // what is left of the body is not worth reading
		return tooLarge("the body is larger than the %d bytes allowed; %s", most, advice)
	}
	if r.ContentLength > most {
		return nil, refuse()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, from, most))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, refuse()
	} else if p, ok := errors.AsType[*problem](err); ok { // too much is in hand
		w.Header().Set("Connection", "close")
		return nil, p
	} else if err != nil {
		return nil, invalid(fmt.Errorf("read the body: %w", err))
	}
	return body, nil
}

// readRequest reads a small JSON object into v, strictly. No body at all is an empty
// object.
func readRequest(w http.ResponseWriter, r *http.Request, v any) error {
	if _, err := newParameters(r); err != nil {
		return err
	}
	as, err := bodyTypeOf(r.Header)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, r.Body, maxRequestBytes, "it has few and short members")
	if err != nil {
		return err
	}
	if as != jsonBody {
		return unsupportedType(`the body is "`+string(as)+`"`, string(jsonBody))
	}
	if len(body) == 0 {
		return nil
	}
	if err := schema.FromJSON(body, v); err != nil {
		return invalid(err)
	}
	return nil
}

// noBody refuses a request that has a body where none is looked at.
func noBody(r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	return newProblem(http.StatusBadRequest, "invalid-request", "invalid request", "a %s request has no body here", r.Method)
}
