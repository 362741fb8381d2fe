package keyurl

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	made, err := Generate(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	opened, err := Open(t.Context(), "file://"+path)
	if err != nil || opened.Name() != made.Name() {
		t.Fatal(opened, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Generate(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("written over: %v", err)
	}
	if again, _ := os.ReadFile(path); string(again) != string(text) {
		t.Error("another key is there")
	}
	for name, change := range map[string]func() error{
		"read by others": func() error { return os.Chmod(path, 0o640) },
		"too short": func() error {
			return os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(make([]byte, 31))), 0o600)
		},
		"too long":   func() error { return os.WriteFile(path, []byte(strings.Repeat("A", 300)), 0o600) },
		"not base64": func() error { return os.WriteFile(path, []byte("my secret password"), 0o600) },
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Chmod(path, 0o600), change()); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), "file://"+path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), string(text[:10])) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(t.Context(), "file://"+filepath.Dir(path)); err == nil {
		t.Error("a directory is a key")
	}
}

// Whatever is wrong with a URL, no error has more of it than its scheme and the names of
// its parameters.
func TestURLsThatAreRefused(t *testing.T) {
	for _, c := range []struct{ url, says string }{
		{"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=", "no scheme"},
		{"base64key://c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=", "into a file"},
		{"vault://c2VjcmV0/x", "scheme"},
		{"awskms://c2VjcmV0:c2VjcmV0@alias/x", "credentials before"},
		{"awskms://alias/x?secret_access_key=c2VjcmV0", "would hold a credential"},
		{"awskms://", "names no key"},
		{"gcpkms:///", "names no key"},
		{"awskms://alias/x?regoin=c2VjcmV0", "open key awskms://alias/x"},
		{"file://relative/c2VjcmV0", "three slashes"},
		{"file:///c2VjcmV0#", "cannot be read"},
		{"awskms:c2VjcmV0", "no scheme"},
		{"awskms://alias/%zzc2VjcmV0", "cannot be read"},
		{"file:///no/such/key", "key file: open /no/such/key"},
		{"file:///path?c2VjcmV0", "three slashes"},
	} {
		_, err := Open(t.Context(), c.url)
		if err == nil || strings.Contains(err.Error(), "c2VjcmV0") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %s", err, c.says)
		}
	}
}

// The real services are not asked when a key is opened: these only show which URLs are
// understood. AWS is tested in integration/.
func TestURLsOfServices(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	credentials := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(credentials, []byte(`{"type":"authorized_user","client_id":"id","client_secret":"x","refresh_token":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", credentials)
	for url, name := range map[string]string{
		"awskms://alias/scheduler?region=us-east-1":                                        "awskms://alias/scheduler",
		"awskms:///arn:aws:kms:us-east-1:111122223333:key/1234?region=us-east-1":           "awskms:///arn:aws:kms:us-east-1:111122223333:key/1234",
		"awskms://alias/scheduler?region=us-east-1&endpoint=http%3A%2F%2F127.0.0.1%3A8080": "awskms://alias/scheduler",
		"gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k":                          "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
	} {
		k, err := Open(t.Context(), url)
		if err != nil || k.Name() != name {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}
}
