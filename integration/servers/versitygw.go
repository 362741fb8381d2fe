package servers

import (
	"context"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

// StartVersityGW starts versitygw. A process can run one at a time, and while it
// runs, its data directory is the process's working directory. The file system
// must have extended attributes.
func StartVersityGW(t testing.TB) *S3 {
	t.Helper()
	directory, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	t.Cleanup(func() {
		if err := os.Chdir(directory); err != nil {
			t.Error(err)
		}
	})
	store, err := posix.New(data, meta.XattrMeta{}, posix.PosixOpts{})
	if err != nil {
		t.Fatalf("versitygw: %v", err)
	}
	log.SetOutput(io.Discard) // it writes to the standard logger
	address := freeAddress(t)
	server := newS3(address)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- embedgw.RunVersityGW(ctx, store, &embedgw.Config{
			RootUserAccess: server.AccessKey, RootUserSecret: server.SecretKey, Region: server.Region,
			Ports: []string{address}, Quiet: true, KeepAlive: true,
			MaxConnections: 1000, MaxRequests: 1000, MultipartMaxParts: 10000,
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !strings.Contains(err.Error(), "closed") {
			t.Logf("versitygw ended: %v", err)
		}
	})
	waitUntil(t, "versitygw", func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	})
	return &server
}
