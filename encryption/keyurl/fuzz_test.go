package keyurl

import (
	"encoding/base64"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzKeyFile: whatever is in a key file, it is refused by name without any of it in the
// error, or is a key of 32 bytes that has the same name each time.
func FuzzKeyFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "key")
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	for _, text := range []string{key, key + "\n", key[:40], "", "my secret password", strings.Repeat("A", 300), "\n" + key, key + key} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := Open(t.Context(), "file://"+path)
		if err != nil {
			secret := strings.TrimSpace(string(text))
			if !strings.Contains(err.Error(), path) || len(secret) >= 8 && strings.Contains(err.Error(), secret) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
		if err != nil || len(decoded) != 32 {
			t.Errorf("%q was taken for a key (%v)", text, err)
		}
		if strings.Contains(k.Name(), string(text)) {
			t.Errorf("its name has the key: %s", k.Name())
		}
	})
}

// FuzzOpen: whatever a key's URL is, no error and no name has a secret that is in it:
// what stands before an @ where credentials may, the value of a parameter other than the
// engine's, or, in base64key, the key.
func FuzzOpen(f *testing.F) {
	f.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	f.Setenv("VAULT_TOKEN", "none")
	for _, seed := range [][2]string{{"file:///", ""}, {"file:///no/key?x=", ""}, {"base64key://", ""}, {"awskms://AKIA:", "@alias/a?region=x"},
		{"awskms://alias/a?secret=", ""}, {"hashivault://u:", "@key"}, {"hashivault://key?engine=", ""}, {"hashivault://key?token=", ""},
		{"", ""}, {"gcpkms://x@", ""}, {"hashivault://key?nope=", "&x"}} {
		f.Add(seed[0], seed[1])
	}
	const hush = "hu5h-HU5H"
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, "hu5h") {
			t.Skip() // the secret's own bytes in another place prove nothing
		}
		scheme, _, _ := strings.Cut(before, "://")
		if scheme != "file" && scheme != "hashivault" && (scheme == "awskms" || scheme == "gcpkms") && !strings.ContainsAny(before+after, "@#") {
			t.Skip() // their clients look for credentials in many places, which takes time
		}
		inSecretPlace := secretPlace(before+hush+after, hush)
		k, err := Open(t.Context(), before+hush+after)
		switch {
		case err != nil && inSecretPlace && strings.Contains(err.Error(), hush):
			t.Errorf("%q: the error has the secret: %v", before+hush+after, err)
		case err == nil && inSecretPlace && strings.Contains(k.Name(), hush):
			t.Errorf("%q is called %s", before+hush+after, k.Name())
		case err != nil && len(err.Error()) > 1000+4*len(before+after):
			t.Errorf("an error of %d bytes for %d", len(err.Error()), len(before+after))
		}
		if err == nil {
			_ = k.Close()
		}
	})
}

// secretPlace says whether it may be a secret what stands where the text does in a URL.
func secretPlace(rawURL, text string) bool {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme == "" || u.Scheme == "base64key" || u.Opaque != "" {
		return true
	}
	for _, engine := range u.Query()["engine"] {
		if strings.Contains(engine, text) {
			return false
		}
	}
	return !strings.Contains(u.Scheme+u.Host+u.Path, text)
}
