package servers

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// KMS is a server that speaks AWS KMS's protocol, local-kms, in a process of its own. It
// has the keys that Aliases name.
type KMS struct {
	S3 // whose credentials it takes: it takes any
	*Process
}

// seed has two keys, alias/scheduler and alias/other.
const seed = `Keys:
  Symmetric:
    Aes:
      - Metadata:
          KeyId: 11111111-1111-4111-8111-111111111111
        BackingKeys:
          - 5cdaead27fe7da2de47945d73cd6d79e36494e73802f3cd3869f1d2cb0b5d7a9
      - Metadata:
          KeyId: 22222222-2222-4222-8222-222222222222
        BackingKeys:
          - 34743777217a25432a46294a404e635266556a586e3272357538782f413f4428
Aliases:
  - AliasName: alias/scheduler
    TargetKeyId: 11111111-1111-4111-8111-111111111111
  - AliasName: alias/other
    TargetKeyId: 22222222-2222-4222-8222-222222222222
`

// StartKMS starts local-kms, which ends with the test.
func StartKMS(t testing.TB) *KMS {
	t.Helper()
	binary, err := built(".cache/bin/local-kms")
	if err != nil {
		t.Fatalf("%v: run make servers", err)
	}
	directory, address := t.TempDir(), freeAddress(t)
	if err := os.WriteFile(filepath.Join(directory, "seed.yaml"), []byte(seed), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(binary)
	command.Env = append(os.Environ(), "PORT="+address[strings.LastIndex(address, ":")+1:], "KMS_REGION=us-east-1", "KMS_ACCOUNT_ID=111122223333",
		"KMS_SEED_PATH="+filepath.Join(directory, "seed.yaml"), "KMS_DATA_PATH="+directory)
	KeepLog(t, command)
	k := &KMS{newS3(address), StartProcess(t, command)}
	waitUntil(t, "local-kms", func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	})
	return k
}

// URL is that of a key by its alias.
func (k *KMS) URL(alias string) string {
	u := url.URL{Scheme: "awskms", Host: "alias", Path: "/" + alias, RawQuery: url.Values{
		"endpoint": {k.Endpoint}, "region": {k.Region}}.Encode()}
	return u.String()
}
