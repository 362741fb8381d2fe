package peers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// etcd is a server of one member in this process, as it comes (each batch of its log is
// synced to the disk), and its own clients, which speak gRPC to it over loopback. Each
// record is a Put.
type etcd struct {
	server  *embed.Etcd
	clients []*clientv3.Client // each with a connection; they take turns
	next    atomic.Uint64
}

// keys is how many keys, or tasks, are written over and over, so that the state in
// memory does not grow with the length of a run.
const keys = 10_000

// openEtcd gives each client a connection of its own, as clients in processes of their
// own have.
func openEtcd(ctx context.Context, at place) (Peer, error) {
	return startEtcd(ctx, at, at.clients)
}

// openEtcdOne lets all share one connection, as the goroutines of one process do.
func openEtcdOne(ctx context.Context, at place) (Peer, error) { return startEtcd(ctx, at, 1) }

func startEtcd(ctx context.Context, at place, connections int) (Peer, error) {
	c := embed.NewConfig()
	c.Dir, c.ZapLoggerBuilder = at.directory, embed.NewZapLoggerBuilder(zap.NewNop())
	anyPort := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{anyPort}, []url.URL{anyPort}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{anyPort}, []url.URL{anyPort}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	server, err := embed.StartEtcd(c)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	e := &etcd{server: server}
	select {
	case <-server.Server.ReadyNotify():
	case err = <-server.Err():
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	for i := 0; i < connections && err == nil; i++ {
		var client *clientv3.Client
		client, err = clientv3.New(clientv3.Config{Endpoints: []string{server.Clients[0].Addr().String()}, Logger: zap.NewNop()})
		if err == nil {
			e.clients = append(e.clients, client)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd: %w", err), e.Close())
	}
	return e, nil
}

func (e *etcd) Append(ctx context.Context, record []byte) error {
	n := e.next.Add(1)
	client := e.clients[n%uint64(len(e.clients))]
	_, err := client.Put(ctx, fmt.Sprintf("record/%d", n%keys), string(record))
	return err
}

func (e *etcd) Close() (err error) {
	for _, client := range e.clients {
		err = errors.Join(err, client.Close())
	}
	e.server.Close()
	return err
}
