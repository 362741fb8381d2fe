package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Who would let everybody on the network in must say so.
func TestListeningBeyondLoopback(t *testing.T) {
	tokens := writeFile(t, filepath.Join(t.TempDir(), "tokens"), "secret\n")
	for _, c := range []struct {
		address string
		access  access
		refused bool
	}{
		{"127.0.0.1:0", access{}, false},
		{"127.1.2.3:0", access{}, false},
		{"localhost:0", access{}, false},
		{":0", access{}, true},
		{"0.0.0.0:0", access{}, true},
		{"[::]:0", access{}, true},
		{"0.0.0.0:0", access{insecure: true}, false},
		{"0.0.0.0:0", access{tokenFile: tokens}, false},
		{"0.0.0.0:0", access{clientCA: "ca"}, false},
		{"0.0.0.0:0", access{tlsCert: "cert", tlsKey: "key"}, true},
	} {
		listener, err := c.access.listen(c.address)
		if refused := err != nil; refused != c.refused {
			t.Errorf("%s with %+v: refused %v, want %v: %v", c.address, c.access, refused, c.refused, err)
		}
		if err == nil {
			listener.Close()
		} else if !strings.Contains(err.Error(), "--insecure-listen") {
			t.Errorf("%s: the error does not help: %v", c.address, err)
		}
	}
	program(t, "serve", "--store", "mem://"+t.Name(), "--listen", "0.0.0.0:0").wants(exitUsage).says("--token-file", "--insecure-listen")
}

func TestAccessFiles(t *testing.T) {
	directory := t.TempDir()
	missing := filepath.Join(directory, "missing")
	bad := writeFile(t, filepath.Join(directory, "bad"), "two words\n")
	authority := newAuthority(t, directory)
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--token-file", missing}, exitError, missing},
		{[]string{"--token-file", bad}, exitError, "line 1"},
		{[]string{"--tls-cert", authority.certFile}, exitUsage, "--tls-key"},
		{[]string{"--tls-key", authority.keyFile}, exitUsage, "--tls-cert"},
		{[]string{"--client-ca", authority.certFile}, exitUsage, "--tls-cert"},
		{[]string{"--tls-cert", missing, "--tls-key", authority.keyFile}, exitError, missing},
		{[]string{"--tls-cert", bad, "--tls-key", authority.keyFile}, exitError, "PEM"},
		{[]string{"--tls-cert", authority.certFile, "--tls-key", authority.keyFile, "--client-ca", bad}, exitError, "no certificate"},
		{[]string{"--advertise", "host:8410"}, exitUsage, "--advertise"},
		{[]string{"--advertise", "http://u:hush@host:8410"}, exitUsage, "credentials"},
	} {
		args := append([]string{"serve", "--store", "mem://" + t.Name(), "--listen", "127.0.0.1:0"}, c.args...)
		o := program(t, args...).wants(c.status).says(c.says)
		if strings.Contains(o.stderr, "two words") || strings.Contains(o.stderr, "hush") {
			t.Errorf("a secret was printed: %s", o.stderr)
		}
	}
}

func TestOwnURL(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		address net.TCPAddr
		host    string
		secure  bool
		want    string
	}{
		{net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8410}, "", false, "http://127.0.0.1:8410"},
		{net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8410}, "host-a", true, "https://127.0.0.1:8410"},
		{net.TCPAddr{IP: net.IPv6loopback, Port: 8410}, "", false, "http://[::1]:8410"},
		{net.TCPAddr{IP: net.IPv4zero, Port: 8410}, "host-a", false, "http://host-a:8410"},
		{net.TCPAddr{IP: net.IPv6unspecified, Port: 8410}, "", true, "https://" + name + ":8410"},
	} {
		if got := ownURL(&c.address, c.host, c.secure); got != c.want {
			t.Errorf("%v: %s, want %s", c.address, got, c.want)
		}
	}
}

func TestTokensAndMutualTLS(t *testing.T) {
	directory := t.TempDir()
	authority := newAuthority(t, directory)
	tokens := writeFile(t, filepath.Join(directory, "tokens"), "sesame\n")
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr lockedBuffer
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--store", "mem://" + t.Name(), "--log-level", "debug", "--token-file", tokens,
			"--tls-cert", authority.certFile, "--tls-key", authority.keyFile, "--client-ca", authority.certFile}, nil, &stdout, &stderr)
	}()
	for stdout.String() == "" {
		time.Sleep(time.Millisecond)
	}
	url := strings.TrimSpace(strings.TrimPrefix(stdout.String(), "listening on "))
	if !strings.HasPrefix(url, "https://127.0.0.1:") {
		t.Fatalf("printed %q", stdout.String())
	}
	get := func(token string, certificates ...tls.Certificate) (int, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.pool, Certificates: certificates}}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport}).Do(request)
		if err != nil {
			return 0, err
		}
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode, response.Body.Close()
	}
	if status, err := get("sesame", authority.certificate); status != http.StatusOK {
		t.Errorf("with token and certificate: %d, %v", status, err)
	}
	if status, err := get("", authority.certificate); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d, %v", status, err)
	}
	if status, err := get("sesame"); err == nil {
		t.Errorf("without a certificate: %d", status)
	}
	cancel()
	if status := <-ended; status != exitOK {
		t.Errorf("status %d: %s", status, stderr.String())
	}
	if strings.Contains(stdout.String()+stderr.String(), "sesame") {
		t.Error("a token was printed")
	}
}

// Daemons with one certificate, or with certificates of one authority in their chains,
// reach each other, also where clients need a certificate.
func TestDaemonsReachEachOtherOverTLS(t *testing.T) {
	settings := func() *accessSettings {
		own := newAuthority(t, t.TempDir())
		s, err := (&access{tlsCert: own.certFile, tlsKey: own.keyFile, clientCA: own.certFile}).load()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one, stranger := settings(), settings()
	peer := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "/", http.StatusFound)
		}
	}))
	peer.TLS = one.tls
	peer.Config.ErrorLog = log.New(io.Discard, "", 0)
	peer.StartTLS()
	defer peer.Close()
	for path, want := range map[string]int{"/": http.StatusOK, "/away": http.StatusFound} {
		response, err := one.client().Get(peer.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, response.Status, want)
		}
	}
	for name, other := range map[string]*accessSettings{"a stranger": stranger, "one without a certificate": {}} {
		if response, err := other.client().Get(peer.URL); err == nil {
			response.Body.Close()
			t.Errorf("%s reaches it: %s", name, response.Status)
		}
	}
}

// authority is a certificate that vouches for itself, for servers and clients.
type authority struct {
	certFile, keyFile string
	certificate       tls.Certificate
	pool              *x509.CertPool
}

func newAuthority(t *testing.T, directory string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	a := &authority{certFile: writeFile(t, filepath.Join(directory, "tls.crt"), string(certPEM)),
		keyFile: writeFile(t, filepath.Join(directory, "tls.key"), string(keyPEM)), pool: x509.NewCertPool()}
	a.pool.AppendCertsFromPEM(certPEM)
	if a.certificate, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	return a
}
