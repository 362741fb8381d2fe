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
// synced to the disk), and its own client, which speaks gRPC to it over loopback. Each
// record is a Put. All share one connection: with 4 and 16 a Put took more CPU.
type etcd struct {
	server *embed.Etcd
	client *clientv3.Client
	next   atomic.Uint64
}

// keys is how many keys, or tasks, are written over and over, so that the state in
// memory does not grow with the length of a run.
const keys = 10_000

func openEtcd(ctx context.Context, at place) (Peer, error) {
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
	if err == nil {
		e.client, err = clientv3.New(clientv3.Config{Endpoints: []string{server.Clients[0].Addr().String()}, Logger: zap.NewNop()})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd: %w", err), e.Close())
	}
	return e, nil
}

func (e *etcd) Append(ctx context.Context, record []byte) error {
	n := e.next.Add(1)
	_, err := e.client.Put(ctx, fmt.Sprintf("record/%d", n%keys), string(record))
	return err
}

func (e *etcd) Close() (err error) {
	if e.client != nil {
		err = e.client.Close()
	}
	e.server.Close()
	return err
}
