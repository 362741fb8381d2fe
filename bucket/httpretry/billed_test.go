package httpretry_test

import (
	"net"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
)

// Each try is counted that the store may ask money for: not a 5xx, nor what was never
// sent; a lost answer may have been of one that counts.
func TestTriesThatAreBilled(t *testing.T) {
	for name, c := range map[string]struct {
		steps         []step
		sent, refused int
	}{
		"success":           {[]step{status(200)}, 1, 0},
		"not found":         {[]step{status(404)}, 1, 1},
		"taken":             {[]step{status(412)}, 1, 1},
		"unavailable first": {[]step{status(503), status(500), status(200)}, 1, 0},
		"too many first":    {[]step{status(429), status(200)}, 2, 1},
		"a conflict first":  {[]step{s3Error(409, "ConditionalRequestConflict"), status(200)}, 2, 1},
		"an answer lost":    {[]step{fails(errReset), status(200)}, 2, 0},
		"then taken":        {[]step{fails(errReset), status(412)}, 2, 1},
		"no connection":     {[]step{fails(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}), status(200)}, 1, 0},
		"never available":   {[]step{status(503)}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent, refused := 0, 0
				ctx := driver.CountRequests(t.Context(), func(r bool) {
					if sent++; r {
						refused++
					}
				})
				if _, _, err := put(ctx, t, &server{steps: c.steps}, httpretry.Options{}); err != nil {
					t.Fatal(err)
				}
				if sent != c.sent || refused != c.refused {
					t.Errorf("%d requests, %d refused; want %d and %d", sent, refused, c.sent, c.refused)
				}
			})
		})
	}
}
