// Package keyurl opens by its URL the key that encrypts a store.
//
//	file:///etc/scheduler-store/key                             a key in a file, made by 'key generate'
//	awskms://alias/scheduler?region=us-east-1                   AWS KMS: an alias, a key's id
//	awskms:///arn:aws:kms:us-east-1:111122223333:key/…          or an ARN
//	gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K     Google Cloud KMS
//	hashivault://scheduler?engine=transit                       HashiCorp Vault: a key of a transit engine
//
// Credentials never are in the URL; they come from where the AWS and Google tools look
// for them, and Vault's address and token from VAULT_ADDR and VAULT_TOKEN.
package keyurl

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"

	"gocloud.dev/secrets"
	_ "gocloud.dev/secrets/awskms" // awskms URLs
	_ "gocloud.dev/secrets/gcpkms" // gcpkms URLs

	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/internal/credential"
)

// ErrURL: the URL is not that of a key.
var ErrURL = errors.New("invalid key URL")

const forms = "want file:///path/of/key, awskms://alias/NAME?region=…, gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K, or hashivault://KEY"

// parameters are what gocloud.dev takes in the URL of a cloud's key, beside the context_…
// of awskms. It quotes what it does not know, which may be a secret.
var parameters = map[string][]string{
	"awskms": {"anonymous", "awssdk", "dualstack", "endpoint", "fips", "hostname_immutable", "profile", "rate_limiter_capacity",
		"region", "request_checksum_calculation", "response_checksum_validation", "role"},
}

// Open opens the key at a URL. A service is not asked before a data key is wrapped or
// unwrapped. No error quotes more of the URL than its scheme and path.
func Open(ctx context.Context, rawURL string) (*encryption.Keeper, error) {
	scheme, rest, found := strings.Cut(rawURL, "://")
	if !found { // which may be the key itself
		return nil, fmt.Errorf("%w: it has no scheme; %s", ErrURL, forms)
	}
	switch scheme {
	case "file", "awskms", "gcpkms", "hashivault":
	case "base64key":
		return nil, fmt.Errorf("%w: base64key:// has the key itself in the URL, which is seen by whoever lists processes or reads logs; put the key into a file that only this user reads, and give file:///path", ErrURL)
	default:
		return nil, fmt.Errorf("%w: its scheme is not known; %s", ErrURL, forms)
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Opaque != "" || u.Fragment != "" || strings.HasSuffix(rest, "#") {
		return nil, fmt.Errorf("%w: it cannot be read as a URL; %s", ErrURL, forms)
	}
	if u.User != nil {
		return nil, fmt.Errorf("%w: it holds credentials before an @; they belong where the %s tools look for them", ErrURL, scheme)
	}
	for name := range u.Query() {
		if word := credential.Named(name); word != "" {
			return nil, fmt.Errorf("%w: a parameter with %q in its name would hold a credential; they belong where the %s tools look for them", ErrURL, word, scheme)
		}
	}
	if scheme == "file" {
		return openFile(u)
	}
	if strings.Trim(u.Host+u.Path, "/") == "" {
		return nil, fmt.Errorf("%w: it names no key; %s", ErrURL, forms)
	}
	if scheme == "hashivault" {
		return openVault(u)
	}
	name := scheme + "://" + u.Host + u.Path
	for parameter := range u.Query() {
		if !slices.Contains(parameters[scheme], parameter) && !(scheme == "awskms" && strings.HasPrefix(parameter, "context_")) {
			return nil, fmt.Errorf("open key %s: it has a parameter that is not known; known are %s", name, cmp.Or(strings.Join(parameters[scheme], ", "), "none"))
		}
	}
	k, err := secrets.OpenKeeper(ctx, rawURL)
	if err != nil {
		return nil, fmt.Errorf("open key %s: %s", name, strings.ReplaceAll(err.Error(), rawURL, name))
	}
	return encryption.NewKeeper(name, k), nil
}

func openFile(u *url.URL) (*encryption.Keeper, error) {
	if u.Host != "" && u.Host != "localhost" || u.Path == "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%w: a key file's URL has three slashes and no parameters: file:///path/of/key", ErrURL)
	}
	key, err := readFile(u.Path)
	if err != nil {
		return nil, err
	}
	return encryption.NewLocalKeeper(key), nil
}

// readFile reads a key file. No error quotes what is in it.
func readFile(path string) (key [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return key, fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return key, fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return key, fmt.Errorf("key file %s: it is no regular file", path)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return key, fmt.Errorf("key file %s: others than its owner may use it (mode %04o); make it private with chmod 600, and if anybody can have read it, make a new key with 'key generate' and take that with 'key rewrap' and 'key rotate'", path, mode)
	}
	text := make([]byte, 128)
	n, _ := f.Read(text)
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text[:n])))
	if err != nil || len(decoded) != len(key) {
		return key, fmt.Errorf("key file %s: want 32 random bytes in base64, as 'key generate' writes them", path)
	}
	return [32]byte(decoded), nil
}
