package stores_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/encryption/keyurl"
	"github.com/scheduler-store/scheduler-store/integration/servers"
	"github.com/scheduler-store/scheduler-store/storage"
)

// A store in MinIO whose data keys AWS KMS's protocol wraps: written, rotated, re-wrapped,
// recovered; refused by a key that is not there, and by a service that is not.
func TestEncryptedStoreWithAKMS(t *testing.T) {
	minio, kms := servers.StartMinIO(t), servers.StartKMS(t)
	minio.UseCredentials(t)
	minio.MakeBucket(t, "encrypted")
	at := minio.BucketURL("encrypted", "cell")
	key := func(alias string) *encryption.Keeper {
		t.Helper()
		k, err := keyurl.Open(t.Context(), kms.URL(alias))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = k.Close() })
		return k
	}
	open := func(o schedulerstore.Options) (*schedulerstore.Store, error) {
		s, err := schedulerstore.Open(t.Context(), at, o)
		if err == nil {
			t.Cleanup(func() { _ = s.Close(context.Background()) })
		}
		return s, err
	}
	write := func(s *schedulerstore.Store, framework string) {
		t.Helper()
		if err := s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error {
			return tx.SaveFrameworkID(framework)
		}); err != nil {
			t.Fatal(err)
		}
	}

	s, err := open(schedulerstore.Options{Key: key("scheduler")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(s, "one")
	if _, err := s.Snapshot(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	keys := s.Log().Codec().Keys()
	if n, err := keys.Rotate(t.Context()); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	write(s, "two")
	if done, err := keys.Rewrap(t.Context(), key("other")); err != nil || len(done) != 2 {
		t.Fatal(done, err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	for _, alias := range []string{"scheduler", "other"} {
		s, err := open(schedulerstore.Options{ReadOnly: true, Key: key(alias)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Read(func(v storage.View) {
			if id, _ := v.FrameworkID(); id != "two" {
				t.Errorf("recovered %q", id)
			}
		})
	}
	if _, err := open(schedulerstore.Options{}); !errors.Is(err, encryption.ErrKeyNeeded) {
		t.Errorf("without a key: %v", err)
	}
	wrong, away := key("nobody"), minio.BucketURL("encrypted", "other-cell")
	if _, err := schedulerstore.Open(t.Context(), away, schedulerstore.Options{Key: wrong}); err == nil || !strings.Contains(err.Error(), "awskms://alias/nobody") {
		t.Errorf("with a key that is not there: %v", err)
	}
	kms.Kill()
	if _, err := open(schedulerstore.Options{Key: key("scheduler")}); err == nil || encryption.Lasting(err) ||
		!strings.Contains(err.Error(), "awskms://alias/scheduler") || !strings.Contains(err.Error(), "can't be asked") {
		t.Errorf("without the service: %v", err)
	}
}
