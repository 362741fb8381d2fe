// Package peers makes records durable in several ways, each behind one tiny interface,
// and measures them with the same records, the same load and on the same disk.
//
// Those that keep their records in a bucket all use one MinIO with one drive; the
// others write to a directory on the same file system. What is comparable and what is
// not, README.md says.
package peers

import (
	"context"
	"slices"

	"github.com/scheduler-store/scheduler-store/bench/report"
)

// Peer makes records durable.
type Peer interface {
	// Append returns when the record is durable. Many goroutines may call it. The
	// record is not changed any more.
	Append(ctx context.Context, record []byte) error
	Close() error
}

// Kind is a way of making records durable.
type Kind struct {
	// Name is one of report.Peers.
	Name string
	// Bucket says that it writes to the bucket of a Server, and not to a directory.
	Bucket bool
	open   func(ctx context.Context, at place) (Peer, error)
}

// place is where a peer keeps its records: it is empty, and its own.
type place struct {
	server    *Server
	prefix    string // of keys in the server's bucket
	directory string
	clients   int // that will append at once
}

// Kinds are all ways: the yardstick, the peers, and ours.
func Kinds() []Kind {
	return []Kind{
		{report.Raw, true, openRaw},
		{report.Series, true, openSeries},
		{report.Manifest, true, openManifest},
		{report.Etcd, false, openEtcd},
		{report.EtcdOne, false, openEtcdOne},
		{report.Raft, false, openRaft},
		{report.Log, true, openLog},
		{report.Store, true, openStore},
	}
}

func kind(name string) Kind {
	all := Kinds()
	return all[slices.IndexFunc(all, func(k Kind) bool { return k.Name == name })]
}
