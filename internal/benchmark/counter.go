package benchmark

import (
	"context"
	"errors"
	"iter"
	"math"
	"sync/atomic"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/cost"
)

// Requests are counts of requests as a store's driver got them. Those of hedging are in
// them; those of the HTTP client, which tries again, and the further pages of a listing
// are not.
type Requests struct {
	Create  int64 `json:"create"`
	Replace int64 `json:"replace"`
	Get     int64 `json:"get"`
	List    int64 `json:"list"`
	Delete  int64 `json:"delete"`
	// Misses are GETs of objects that were not there.
	Misses int64 `json:"misses"`
	// Hedges are those of the above that were sent although the same had been sent.
	Hedges int64 `json:"hedges"`
	// CreateBytes and GetBytes are those of bodies.
	CreateBytes int64 `json:"createBytes"`
	GetBytes    int64 `json:"getBytes"`
}

func (r Requests) since(before Requests) Requests {
	return Requests{r.Create - before.Create, r.Replace - before.Replace, r.Get - before.Get, r.List - before.List, r.Delete - before.Delete, r.Misses - before.Misses, r.Hedges - before.Hedges,
		r.CreateBytes - before.CreateBytes, r.GetBytes - before.GetBytes}
}

// all is their number.
func (r Requests) all() int64 { return r.Create + r.Replace + r.Get + r.List + r.Delete }

// dollarsPerMonth is what they cost if as many come in each time of so many seconds.
func (r Requests) dollarsPerMonth(p cost.Prices, seconds float64) float64 {
	dollars := p.Dollars(cost.Requests{Writes: float64(r.Create + r.Replace), Lists: float64(r.List), Reads: float64(r.Get), Deletes: float64(r.Delete),
		RefusedReads: float64(r.Misses), UploadedBytes: float64(r.CreateBytes), RetrievedBytes: float64(r.GetBytes)})
	return math.Round(100*perSecond(dollars*cost.Month.Seconds(), seconds)) / 100
}

// counter is a driver that counts the requests to another. Close does not close that.
type counter struct {
	driver                                                                    driver.Bucket
	create, replace, get, list, remove, misses, hedges, createBytes, gotBytes atomic.Int64
}

var _ driver.Bucket = (*counter)(nil)

// requests are those that have begun.
func (c *counter) requests() Requests {
	return Requests{c.create.Load(), c.replace.Load(), c.get.Load(), c.list.Load(), c.remove.Load(), c.misses.Load(), c.hedges.Load(), c.createBytes.Load(), c.gotBytes.Load()}
}

// count counts a request that may be a hedge: those go over a connection of their own.
func (c *counter) count(ctx context.Context, n *atomic.Int64) {
	n.Add(1)
	if driver.WantsFreshConnection(ctx) {
		c.hedges.Add(1)
	}
}

func (c *counter) got(data []byte, err error) {
	c.gotBytes.Add(int64(len(data)))
	if errors.Is(err, driver.ErrNotExist) {
		c.misses.Add(1)
	}
}

// Hedgeable is the other driver's.
func (c *counter) Hedgeable() bool { return hedgeable(c.driver) }

func hedgeable(d driver.Bucket) bool {
	h, ok := d.(driver.Hedgeable)
	return ok && h.Hedgeable()
}

// Get is a driver's.
func (c *counter) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	c.count(ctx, &c.get)
	data, version, err := c.driver.Get(ctx, key)
	c.got(data, err)
	return data, version, err
}

// GetRange is a driver's.
func (c *counter) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	c.get.Add(1)
	data, err := c.driver.GetRange(ctx, key, offset, length)
	c.got(data, err)
	return data, err
}

// Create is a driver's.
func (c *counter) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	c.count(ctx, &c.create)
	c.createBytes.Add(int64(len(data)))
	return c.driver.Create(ctx, key, data)
}

// Replace is a driver's.
func (c *counter) Replace(ctx context.Context, key string, data []byte, old driver.Version) (driver.Version, error) {
	c.replace.Add(1)
	return c.driver.Replace(ctx, key, data, old)
}

// List is a driver's.
func (c *counter) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	c.list.Add(1)
	return c.driver.List(ctx, prefix, after)
}

// Delete is a driver's.
func (c *counter) Delete(ctx context.Context, key string) error {
	c.remove.Add(1)
	return c.driver.Delete(ctx, key)
}

// Close does nothing.
func (c *counter) Close() error { return nil }
