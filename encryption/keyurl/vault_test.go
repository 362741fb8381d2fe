package keyurl

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/encryption"
)

// fakeVault answers as the API of Vault's transit engine is documented: a real Vault can't
// be built from its published modules, which do not fit each other. Its ciphertexts name
// their key and are none.
type fakeVault struct {
	*httptest.Server
	requests atomic.Int32
	// away is how many requests are answered with 503, as by a Vault that is sealed.
	away atomic.Int32
	// page, if set, answers all of them: status and body of what stands before Vault.
	page atomic.Pointer[page]
}

type page struct {
	status int
	body   string
}

const vaultToken = "hvs.c2VjcmV0"

// startVault starts one with the keys "scheduler" and "other" in the engines transit and
// team/transit of the root namespace and of "tenant", and points the environment to it.
func startVault(t *testing.T, start func(http.Handler) *httptest.Server) *fakeVault {
	t.Helper()
	v := new(fakeVault)
	v.Server = start(v)
	t.Cleanup(v.Close)
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "VAULT_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("VAULT_ADDR", v.URL)
	t.Setenv("VAULT_TOKEN", vaultToken)
	return v
}

func (v *fakeVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.requests.Add(1)
	refuse := func(status int, reasons ...string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string][]string{"errors": reasons})
	}
	if p := v.page.Load(); p != nil {
		w.WriteHeader(p.status)
		_, _ = fmt.Fprint(w, p.body)
		return
	}
	if v.away.Add(-1) >= 0 {
		w.Header().Set("Retry-After", "0") // so that no test waits
		refuse(http.StatusServiceUnavailable, "Vault is sealed")
		return
	}
	namespace := r.Header.Get("X-Vault-Namespace")
	engine, operation, key := v.operation(r.URL.Path)
	var request struct{ Plaintext, Ciphertext string }
	switch err := json.NewDecoder(r.Body).Decode(&request); {
	case r.Header.Get("X-Vault-Token") != vaultToken:
		refuse(http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
	case engine == "":
		refuse(http.StatusNotFound, fmt.Sprintf("no handler for route %q. route entry not found.", r.URL.Path))
	case r.Method != http.MethodPut && r.Method != http.MethodPost:
		refuse(http.StatusMethodNotAllowed, "unsupported operation")
	case err != nil:
		refuse(http.StatusBadRequest, "failed to parse JSON input: "+err.Error())
	case key != "scheduler" && key != "other":
		refuse(http.StatusBadRequest, "encryption key not found")
	case operation == "encrypt":
		v.reply(w, "ciphertext", fmt.Sprintf("vault:v1:%s|%s|%s|%s", namespace, engine, key, request.Plaintext))
	default:
		plaintext, ok := strings.CutPrefix(request.Ciphertext, fmt.Sprintf("vault:v1:%s|%s|%s|", namespace, engine, key))
		if !ok {
			refuse(http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		v.reply(w, "plaintext", plaintext)
	}
}

func (v *fakeVault) reply(w http.ResponseWriter, name, value string) {
	_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]string{name: value}})
}

func (v *fakeVault) operation(path string) (engine, operation, key string) {
	for _, engine := range []string{"transit", "team/transit"} {
		for _, operation := range []string{"encrypt", "decrypt"} {
			if key, ok := strings.CutPrefix(path, "/v1/"+engine+"/"+operation+"/"); ok {
				return engine, operation, key
			}
		}
	}
	return "", "", ""
}

// vaultCell opens the ring of one cell in memory by the key at a URL.
type vaultCell struct {
	t      *testing.T
	bucket *bucket.Bucket
}

func newVaultCell(t *testing.T) *vaultCell {
	return &vaultCell{t, bucket.New(memdriver.New(), "mem", "", bucket.Options{})}
}

func (c *vaultCell) open(url string) (*encryption.Ring, error) {
	c.t.Helper()
	k, err := Open(c.t.Context(), url)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = k.Close() })
	r, _, err := encryption.Open(c.t.Context(), c.bucket, "cell", k, true)
	return r, err
}

func (c *vaultCell) mustOpen(url string) *encryption.Ring {
	c.t.Helper()
	r, err := c.open(url)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// says checks an error: whether it will last, what it says, and that it is one line
// without a secret.
func (c *vaultCell) says(err error, lasting bool, words ...string) {
	c.t.Helper()
	if err == nil {
		c.t.Errorf("no error, want %q", words)
		return
	}
	if encryption.Lasting(err) != lasting || errors.Is(err, encryption.ErrWrongKey) != lasting {
		c.t.Errorf("lasting: %v, wrong key: %v: %v", encryption.Lasting(err), errors.Is(err, encryption.ErrWrongKey), err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			c.t.Errorf("want %q: %v", word, err)
		}
	}
	if strings.Contains(err.Error(), "c2VjcmV0") || strings.Contains(err.Error(), "\n") {
		c.t.Errorf("a secret, or several lines: %q", err)
	}
}

func TestVaultWrapsAndUnwraps(t *testing.T) {
	v := startVault(t, httptest.NewServer)
	c := newVaultCell(t)
	body := c.mustOpen("hashivault://scheduler").Seal(nil, []byte("x"), nil)
	r := c.mustOpen("hashivault://scheduler?engine=transit")
	if plain, err := r.Open(t.Context(), nil, body, nil); err != nil || string(plain) != "x" {
		t.Error(plain, err)
	}
	host := strings.TrimPrefix(v.URL, "http://")
	objects, err := encryption.List(t.Context(), c.bucket)
	if err != nil || len(objects) != 1 || objects[0].Keeper != "hashivault://"+host+"/transit/scheduler" {
		t.Error(objects, err)
	}
	// What says which key it is has all of it.
	names := map[string]bool{}
	for _, namespace := range []string{"", "tenant"} {
		t.Setenv("VAULT_NAMESPACE", namespace)
		for _, url := range []string{"hashivault://scheduler", "hashivault://other", "hashivault://scheduler?engine=team/transit"} {
			k, err := Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			if names[k.Name()] {
				t.Errorf("two are called %s", k.Name())
			}
			names[k.Name()] = true
			newVaultCell(t).mustOpen(url)
		}
	}
}

// Vault's own tools take VAULT_ADDR and VAULT_TOKEN; gocloud's driver, whose URLs these
// are, takes others before them.
func TestVaultEnvironment(t *testing.T) {
	v := startVault(t, httptest.NewTLSServer)
	t.Setenv("VAULT_MAX_RETRIES", "0")
	c := newVaultCell(t)
	_, err := c.open("hashivault://scheduler")
	c.says(err, false, "certificate")
	authority := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.Certificate().Raw})
	if err := os.WriteFile(authority, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VAULT_CACERT", authority)
	c.mustOpen("hashivault://scheduler")

	t.Setenv("VAULT_ADDR", "https://127.0.0.1:1")
	t.Setenv("VAULT_TOKEN", "hvs.c2VjcmV0c2VjcmV0")
	t.Setenv("VAULT_SERVER_URL", v.URL)
	t.Setenv("VAULT_SERVER_TOKEN", vaultToken)
	c.mustOpen("hashivault://scheduler")
}

func TestVaultSettingsThatAreRefused(t *testing.T) {
	for _, c := range []struct{ variable, value, says string }{
		{"VAULT_ADDR", "", "VAULT_ADDR=https://"},
		{"VAULT_ADDR", "vault.example:c2VjcmV0", "VAULT_ADDR is no address"},
		{"VAULT_ADDR", "https://x:c2VjcmV0@vault.example", "VAULT_ADDR holds credentials"},
		{"VAULT_ADDR", "https://x:c2VjcmV0%zz@vault.example", "VAULT_ADDR is no address"},
		{"VAULT_ADDR", "https://vault.example?token=c2VjcmV0", "VAULT_ADDR is no address"},
		{"VAULT_SERVER_URL", "https://c2VjcmV0@vault.example", "VAULT_SERVER_URL holds credentials"},
		{"VAULT_AGENT_ADDR", "https://c2VjcmV0@127.0.0.1", "VAULT_AGENT_ADDR holds credentials"},
		{"VAULT_PROXY_ADDR", "http://x:c2VjcmV0%zz@proxy", "the proxy's address"},
		{"VAULT_CACERT", "/does/not/exist.pem", "/does/not/exist.pem"},
	} {
		t.Run(c.variable, func(t *testing.T) {
			startVault(t, httptest.NewServer)
			t.Setenv(c.variable, c.value)
			_, err := Open(t.Context(), "hashivault://scheduler")
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("%v, want %s", err, c.says)
			}
		})
	}
	startVault(t, httptest.NewServer)
	for url, says := range map[string]string{
		"hashivault://":                             "names no key",
		"hashivault://a/b":                          "no name of a key",
		"hashivault://..":                           "no name of a key",
		"hashivault://scheduler?engin=transit":      "engin",
		"hashivault://scheduler?engine=a&engine=b":  "twice",
		"hashivault://scheduler?engine=a/../sys":    "mounted",
		"hashivault://scheduler?token=hvs.c2VjcmV0": "would hold a credential",
		"hashivault://c2VjcmV0@scheduler":           "credentials before",
	} {
		if _, err := Open(t.Context(), url); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%v, want %s", err, says)
		}
	}
}

// What Vault would say again is a wrong key, and is not asked again.
func TestVaultRefuses(t *testing.T) {
	v := startVault(t, httptest.NewServer)
	c := newVaultCell(t)
	c.mustOpen("hashivault://scheduler")
	refused := func(url string, words ...string) {
		t.Helper()
		before := v.requests.Load()
		_, err := c.open(url)
		c.says(err, true, append(words, "key/0000000001-0001.json", "/transit/scheduler")...)
		if n := v.requests.Load() - before; n != 1 {
			t.Errorf("%d requests", n)
		}
	}
	refused("hashivault://other", "/transit/other", "Vault answers 400 Bad Request: cipher: message authentication failed")
	refused("hashivault://nobody", "/transit/nobody", "encryption key not found")
	refused("hashivault://scheduler?engine=nowhere", "/nowhere/scheduler", "Vault answers 404 Not Found: no handler for route")
	t.Setenv("VAULT_TOKEN", "hvs.c2VjcmV0c2VjcmV0")
	refused("hashivault://scheduler", "Vault answers 403 Forbidden: 2 errors occurred: * permission denied * invalid token")
	t.Setenv("VAULT_TOKEN", vaultToken)
	v.page.Store(&page{http.StatusNoContent, ""}) // as an engine that keeps what it is given
	refused("hashivault://scheduler", "no transit engine answers at transit")

	v.page.Store(nil)
	k, err := Open(t.Context(), "hashivault://nobody")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = encryption.Open(t.Context(), newVaultCell(t).bucket, "cell", k, true)
	if err == nil || !strings.Contains(err.Error(), k.Name()) || !strings.Contains(err.Error(), "encryption key not found") {
		t.Errorf("a first data key: %v", err)
	}
}

// A Vault that is away, or something that answers in its place, says nothing of the key.
func TestVaultIsAway(t *testing.T) {
	v := startVault(t, httptest.NewServer)
	c := newVaultCell(t)
	c.mustOpen("hashivault://scheduler")
	v.away.Store(1)
	before := v.requests.Load()
	c.mustOpen("hashivault://scheduler")
	if n := v.requests.Load() - before; n != 2 {
		t.Errorf("%d requests, want another after a 503", n)
	}
	v.away.Store(100)
	_, err := c.open("hashivault://scheduler")
	c.says(err, false, "can't be asked", "Vault answers 503 Service Unavailable: Vault is sealed")
	v.away.Store(0)

	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden} {
		v.page.Store(&page{status, "<html>c2VjcmV0</html>"})
		_, err := c.open("hashivault://scheduler")
		c.says(err, false, "can't be asked", "not in Vault's words")
	}
	v.page.Store(nil)

	t.Setenv("VAULT_MAX_RETRIES", "0") // tries would be a second apart
	v.Close()
	_, err = c.open("hashivault://scheduler")
	c.says(err, false, "can't be asked", "refused")
}
