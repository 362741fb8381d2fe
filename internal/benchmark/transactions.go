package benchmark

import (
	"context"
	"fmt"

	schedulerstore "github.com/scheduler-store/scheduler-store"
)

// Transactions is the whole store's throughput: each transaction saves one task.
type Transactions struct {
	RecordBytes int          `json:"recordBytes"`
	Rows        []Throughput `json:"rows"`
}

// transactionClients are the goroutines that write at once.
var transactionClients = []int{1, 16, 256}

// MeasureTransactions measures Transactions.
func MeasureTransactions(ctx context.Context, s *Scratch, o Options) (*Transactions, error) {
	t := &Transactions{RecordBytes: o.RecordBytes}
	for _, n := range transactionClients {
		row, err := o.transactions(ctx, s.place(fmt.Sprintf("transactions-%d", n), nil), "transactions", n, storeOptions())
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// transactions measures a store of its own.
func (o *Options) transactions(ctx context.Context, p *place, what string, clients int, so schedulerstore.Options) (row Throughput, err error) {
	err = withStore(ctx, p, so, func(store *schedulerstore.Store) (err error) {
		row, err = o.throughput(ctx, p, what, clients, func(ctx context.Context, client, i int) error {
			return write(ctx, store, client, i, o.RecordBytes)
		})
		return err
	})
	return row, err
}
