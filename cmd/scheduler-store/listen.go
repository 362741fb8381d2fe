package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/pflag"

	"github.com/scheduler-store/scheduler-store/server"
)

// access is who may reach the daemon: serve's flags for that.
type access struct {
	tokenFile                 string
	tlsCert, tlsKey, clientCA string
	insecure                  bool
}

func (a *access) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&a.tokenFile, "token-file", "", "`file` of bearer tokens, one a line, of which a request needs one")
	flags.StringVar(&a.tlsCert, "tls-cert", "", "`file` of the certificate chain (PEM), to serve HTTPS")
	flags.StringVar(&a.tlsKey, "tls-key", "", "`file` of the certificate's private key (PEM)")
	flags.StringVar(&a.clientCA, "client-ca", "", "`file` of the authorities (PEM) of which a client needs a certificate")
	flags.BoolVar(&a.insecure, "insecure-listen", false, "listen beyond loopback although everybody who reaches this process may then do everything")
}

// accessSettings are what the files of an access say.
type accessSettings struct {
	tokens []string
	tls    *tls.Config // nil for plain HTTP
	// plainTokens tells that tokens are sent over plain HTTP.
	plainTokens bool
}

// load reads the files.
func (a *access) load() (*accessSettings, error) {
	s := &accessSettings{}
	if (a.tlsCert == "") != (a.tlsKey == "") {
		return nil, usageErrorf("--tls-cert and --tls-key belong together")
	}
	if a.clientCA != "" && a.tlsCert == "" {
		return nil, usageErrorf("--client-ca needs --tls-cert and --tls-key")
	}
	if a.tokenFile != "" {
		file, err := os.ReadFile(a.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		if s.tokens, err = server.ParseTokens(file); err != nil {
			return nil, fmt.Errorf("--token-file %s: %w", a.tokenFile, err)
		}
	}
	if a.tlsCert == "" {
		s.plainTokens = len(s.tokens) > 0
		return s, nil
	}
	certificate, err := tls.LoadX509KeyPair(a.tlsCert, a.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert %s, --tls-key %s: %w", a.tlsCert, a.tlsKey, err)
	}
	s.tls = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if a.clientCA == "" {
		return s, nil
	}
	pem, err := os.ReadFile(a.clientCA)
	if err != nil {
		return nil, fmt.Errorf("--client-ca: %w", err)
	}
	s.tls.ClientCAs, s.tls.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !s.tls.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--client-ca: %s holds no certificate in PEM form", a.clientCA)
	}
	return s, nil
}

// client is for requests to the other daemons of the store. It goes nowhere but where
// it is sent.
func (s *accessSettings) client() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if s.tls != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: s.trusted(), Certificates: s.tls.Certificates, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// trusted are the system's authorities, and what is in the own certificate chain: daemons
// of one store often have one private authority, or one certificate.
func (s *accessSettings) trusted() *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, chain := range s.tls.Certificates {
		for _, der := range chain.Certificate {
			if certificate, err := x509.ParseCertificate(der); err == nil {
				pool.AddCert(certificate)
			}
		}
	}
	return pool
}

// listen listens on an address, if that is safe.
func (a *access) listen(address string) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		var lookup *net.DNSError
		if errors.As(err, &lookup) {
			return nil, fmt.Errorf("--listen: %w", err)
		}
		return nil, usageErrorf("--listen: %w; want host:port, as in 127.0.0.1:8410", err)
	}
	authenticated := a.tokenFile != "" || a.clientCA != ""
	if !resolved.IP.IsLoopback() && !authenticated && !a.insecure {
		return nil, usageErrorf("--listen %s is not loopback: give --token-file or --client-ca, or --insecure-listen if everybody who reaches it may do everything", address)
	}
	// The address that was looked at, and not what its name means at the next look.
	listener, err := net.ListenTCP("tcp", resolved)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	return listener, nil
}

// ownURL is the URL of an address that is listened on. Where that is every address
// of this host, the URL has the host's name.
func ownURL(address net.Addr, host string, secure bool) string {
	own := &url.URL{Scheme: "http", Host: address.String()}
	if secure {
		own.Scheme = "https"
	}
	tcp, ok := address.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return own.String()
	}
	if host == "" {
		host, _ = os.Hostname() // without a name the address has to do
	}
	if host != "" {
		own.Host = net.JoinHostPort(host, fmt.Sprint(tcp.Port))
	}
	return own.String()
}

// checkAdvertised makes sure that clients can be sent to a URL.
func checkAdvertised(advertise string) error {
	u, err := url.Parse(advertise)
	switch {
	case err != nil:
		return usageErrorf("--advertise is no URL; want http://host:port")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return usageErrorf("--advertise must be like http://host:port or https://host:port")
	case u.User != nil:
		return usageErrorf("--advertise holds credentials before an @, and everybody can read it")
	}
	return nil
}
