package peers

import (
	"context"
	"errors"
	"io"

	"github.com/hashicorp/raft"
	raftwal "github.com/hashicorp/raft-wal"
)

// raftLog is a Raft group of one node that keeps its log in raft-wal, which syncs each
// batch to the disk, as Consul, Nomad and Vault can. Its state machine does nothing,
// and no request crosses a socket: it is the least that a Raft log can cost.
type raftLog struct {
	raft *raft.Raft
	wal  *raftwal.WAL
}

func openRaft(ctx context.Context, at place) (Peer, error) {
	wal, err := raftwal.Open(at.directory)
	if err != nil {
		return nil, err
	}
	c := raft.DefaultConfig()
	c.LocalID, c.LogOutput = "bench", io.Discard
	address, transport := raft.NewInmemTransport("")
	snapshots := raft.NewDiscardSnapshotStore()
	servers := raft.Configuration{Servers: []raft.Server{{ID: c.LocalID, Address: address}}}
	if err := raft.BootstrapCluster(c, wal, wal, snapshots, transport, servers); err != nil {
		return nil, errors.Join(err, wal.Close())
	}
	node, err := raft.NewRaft(c, nothing{}, wal, wal, snapshots, transport)
	if err != nil {
		return nil, errors.Join(err, wal.Close())
	}
	r := &raftLog{node, wal}
	select {
	case <-node.LeaderCh():
		return r, nil
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), r.Close())
	}
}

func (r *raftLog) Append(_ context.Context, record []byte) error {
	return r.raft.Apply(record, 0).Error()
}

func (r *raftLog) Close() error { return errors.Join(r.raft.Shutdown().Error(), r.wal.Close()) }

// nothing is a state machine without a state.
type nothing struct{}

func (nothing) Apply(*raft.Log) any                  { return nil }
func (nothing) Snapshot() (raft.FSMSnapshot, error)  { return nothing{}, nil }
func (nothing) Restore(snapshot io.ReadCloser) error { return snapshot.Close() }
func (nothing) Persist(sink raft.SnapshotSink) error { return sink.Close() }
func (nothing) Release()                             {}
