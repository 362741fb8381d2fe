package blob

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// BenchmarkRecovery recovers a log of 1-KiB transactions in entries of 1 MiB or of 128
// KiB, half of whose bytes compress, and for comparison gets the same objects in
// parallel and only unpacks and splits them ("raw"), in the same run. The store is
// memory, or SCHEDULER_STORE_BENCH_URL, with a %d in its prefix; it must be empty, and
// keeps the log.
func BenchmarkRecovery(b *testing.B) {
	for _, perEntry := range []int{1000, 125} {
		l, end, transactions := benchLog(b, perEntry)
		b.Run(fmt.Sprintf("%d-a-entry", perEntry), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := l.NewReader(nothing{}).CatchUp(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(transactions)*float64(b.N)/b.Elapsed().Seconds(), "transactions/s")
		})
		b.Run(fmt.Sprintf("%d-a-entry-raw", perEntry), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rawRead(b, l, end)
			}
			b.ReportMetric(float64(transactions)*float64(b.N)/b.Elapsed().Seconds(), "transactions/s")
		})
	}
}

// benchLog is a log of so many transactions, 64 MiB of them.
func benchLog(b *testing.B, perEntry int) (*Log, persistence.Point, int) {
	store := bucket.New(memdriver.New(), "mem://bench", "", bucket.Options{})
	const transactions = 64_000
	if url := os.Getenv("SCHEDULER_STORE_BENCH_URL"); url != "" {
		var err error
		if store, err = bucketurl.Open(b.Context(), fmt.Sprintf(url, perEntry), bucketurl.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	l, err := Open(b.Context(), store, Options{})
	if err != nil {
		b.Fatal(err)
	}
	reader := l.NewReader(nothing{})
	if err := reader.CatchUp(b.Context()); err != nil {
		b.Fatal(err)
	}
	at := reader.At()
	random := rand.NewChaCha8([32]byte{})
	record := make([]byte, 1024)
	for n := 0; n < transactions; n += perEntry {
		var raw []byte
		for range perEntry {
			random.Read(record[:512])
			raw = packed.AppendRecord(raw, record)
		}
		h := Header{Kind: KindRecords, Position: at.Next, Epoch: at.Epoch, Prev: at.Hash, Committed: at.Next,
			First: at.Transaction + 1, Count: perEntry, Time: time.Now()}
		object, hash := encode(l.codec, &h, raw)
		if _, err := store.Create(b.Context(), Key(at.Epoch, at.Next), object); err != nil {
			b.Fatal(err)
		}
		at.Next, at.Transaction, at.Hash = at.Next+1, at.Transaction+persistence.TransactionNumber(perEntry), hash
	}
	return l, at, transactions
}

func rawRead(b *testing.B, l *Log, end persistence.Point) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range l.options.Prefetch {
		workers.Go(func() {
			for {
				p := persistence.Position(next.Add(1) - 1)
				if p >= end.Next {
					return
				}
				if err := rawGet(b.Context(), l, Key(end.Epoch, p)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
}

func rawGet(ctx context.Context, l *Log, key string) error {
	object, err := l.bucket.Get(ctx, key)
	if err != nil {
		return err
	}
	h, err := decodeHeader(object.Data)
	if err != nil {
		return err
	}
	raw, err := l.codec.Unpack(context.Background(), object.Data[headerSize:], h.Compression, h.RawSize)
	if err != nil {
		return err
	}
	_, err = packed.Records(raw, h.Count)
	return err
}
