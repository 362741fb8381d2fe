package peers

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// manifestLog commits as wal3 does, the log of Chroma: what waits becomes a fragment,
// which is uploaded; then a manifest that names it replaces the last one by
// compare-and-swap. One commit is under way at a time (wal3: writers_active in
// rust/wal3/src/interfaces/batch_manager.rs), so a record waits for two requests in
// series, or four if it just missed a commit.
//
// What is left out favours it: wal3 waits 100 ms between two fragments, unless told
// otherwise, writes them as Parquet, and lists up to 2,048 of them in a manifest, which
// may come to 512 KiB. This one never waits, writes plain records, and lists the last
// manifestFragments, as if the collector always kept up.
type manifestLog struct {
	client   *s3.Client
	prefix   string
	manifest manifest
	etag     string // of the manifest in the bucket

	mu     sync.Mutex
	queue  []waiting
	closed bool
	wake   chan struct{}
	ended  chan struct{}
}

const (
	manifestFragments = 64
	// fragmentBytes closes a fragment (wal3: batch_size_bytes).
	fragmentBytes = 8_000_000
)

type waiting struct {
	record []byte
	done   chan error
}

type manifest struct {
	Writer    string     `json:"writer"`
	Sum       string     `json:"setsum"`
	Fragments []fragment `json:"fragments"`
}

type fragment struct {
	Path   string `json:"path"`
	Number int    `json:"seq_no"`
	Start  int    `json:"start"` // the first record's number
	Limit  int    `json:"limit"`
	Bytes  int    `json:"num_bytes"`
	Sum    string `json:"setsum"`
}

func openManifest(ctx context.Context, at place) (Peer, error) {
	m := &manifestLog{client: at.server.Client, prefix: at.prefix, manifest: manifest{Writer: "bench", Fragments: []fragment{{}}},
		wake: make(chan struct{}, 1), ended: make(chan struct{})}
	object, err := json.Marshal(m.manifest)
	if err != nil {
		return nil, err
	}
	if m.etag, err = create(ctx, m.client, m.prefix+"/manifest", object); err != nil {
		return nil, err
	}
	go m.run(context.WithoutCancel(ctx))
	return m, nil
}

func (m *manifestLog) Append(_ context.Context, record []byte) error {
	w := waiting{record, make(chan error, 1)}
	m.mu.Lock()
	m.queue = append(m.queue, w)
	m.mu.Unlock()
	m.poke()
	return <-w.done
}

func (m *manifestLog) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Close is called when nobody waits.
func (m *manifestLog) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.poke()
	<-m.ended
	return nil
}

func (m *manifestLog) run(ctx context.Context) {
	defer close(m.ended)
	for {
		batch, closed := m.take()
		if len(batch) == 0 {
			if closed {
				return
			}
			<-m.wake
			continue
		}
		err := m.commit(ctx, batch)
		for _, w := range batch {
			w.done <- err
		}
	}
}

// take removes what goes into the next fragment from the queue.
func (m *manifestLog) take() (batch []waiting, closed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, size := 0, 0
	for n < len(m.queue) && (n == 0 || size+len(m.queue[n].record) <= fragmentBytes) {
		size += len(m.queue[n].record)
		n++
	}
	batch = m.queue[:n:n]
	if m.queue = m.queue[n:]; len(m.queue) == 0 {
		m.queue = nil
	}
	return batch, m.closed
}

// commit uploads the fragment, then the manifest that names it. After an error the
// manifest in hand is not the one in the bucket, and every later commit fails too.
func (m *manifestLog) commit(ctx context.Context, batch []waiting) error {
	var body []byte
	for _, w := range batch {
		body = append(binary.AppendUvarint(body, uint64(len(w.record))), w.record...)
	}
	sum := sha256.Sum256(body)
	last := m.manifest.Fragments[len(m.manifest.Fragments)-1]
	f := fragment{Path: fmt.Sprintf("%s/fragment/%016x", m.prefix, last.Number+1), Number: last.Number + 1,
		Start: last.Limit, Limit: last.Limit + len(batch), Bytes: len(body), Sum: hex.EncodeToString(sum[:])}
	if _, err := create(ctx, m.client, f.Path, body); err != nil {
		return err
	}
	m.manifest.Sum = f.Sum
	m.manifest.Fragments = append(m.manifest.Fragments, f)
	if n := len(m.manifest.Fragments); n > manifestFragments {
		m.manifest.Fragments = m.manifest.Fragments[n-manifestFragments:]
	}
	object, err := json.Marshal(m.manifest)
	if err != nil {
		return err
	}
	m.etag, err = replace(ctx, m.client, m.prefix+"/manifest", m.etag, object)
	return err
}
