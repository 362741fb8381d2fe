package benchmark

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
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
	// Hedges are those of the above that were sent although the same had been sent.
	Hedges int64 `json:"hedges"`
	// CreateBytes and GetBytes are those of bodies.
	CreateBytes int64 `json:"createBytes"`
	GetBytes    int64 `json:"getBytes"`
}

func (r Requests) since(before Requests) Requests {
	return Requests{r.Create - before.Create, r.Replace - before.Replace, r.Get - before.Get, r.List - before.List, r.Delete - before.Delete, r.Hedges - before.Hedges,
		r.CreateBytes - before.CreateBytes, r.GetBytes - before.GetBytes}
}

// all is their number.
func (r Requests) all() int64 { return r.Create + r.Replace + r.Get + r.List + r.Delete }

// counter is a driver that counts the requests to another. Close does not close that.
type counter struct {
	driver                                                            driver.Bucket
	create, replace, get, list, remove, hedges, createBytes, gotBytes atomic.Int64
}

var _ driver.Bucket = (*counter)(nil)

// requests are those that have begun.
func (c *counter) requests() Requests {
	return Requests{c.create.Load(), c.replace.Load(), c.get.Load(), c.list.Load(), c.remove.Load(), c.hedges.Load(), c.createBytes.Load(), c.gotBytes.Load()}
}

// count counts a request that may be a hedge: those go over a connection of their own.
func (c *counter) count(ctx context.Context, n *atomic.Int64) {
	n.Add(1)
	if driver.WantsFreshConnection(ctx) {
		c.hedges.Add(1)
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
	c.gotBytes.Add(int64(len(data)))
	return data, version, err
}

// GetRange is a driver's.
func (c *counter) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	c.get.Add(1)
	data, err := c.driver.GetRange(ctx, key, offset, length)
	c.gotBytes.Add(int64(len(data)))
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
