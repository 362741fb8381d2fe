package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/scheduler-store/scheduler-store/server"
)

// client talks to a daemon: the flags for that.
type client struct {
	server, tokenFile, caCert string
	flag                      string // whose value server is, for messages
}

func (d *client) addFlags(flags *pflag.FlagSet) {
	d.addFlagsFor("server", flags)
	flags.StringVar(&d.server, d.flag, "http://127.0.0.1:8410", "`URL` of a daemon; one that follows sends on to the leader")
}

// addFlagsFor adds the flags besides the one of the URL.
func (d *client) addFlagsFor(flag string, flags *pflag.FlagSet) {
	d.flag = flag
	flags.StringVar(&d.tokenFile, "token-file", "", "`file` of bearer tokens, one a line, of which the first is used")
	flags.StringVar(&d.caCert, "ca-cert", "", "`file` of the authorities (PEM) that vouch for the daemon (default: the system's)")
}

// connection is a client whose flags are all right.
type connection struct {
	http  *http.Client
	base  *url.URL
	token string
	flag  string
}

func (d *client) connect() (*connection, error) {
	base, err := url.Parse(strings.TrimSuffix(d.server, "/"))
	switch {
	case err != nil:
		return nil, usageErrorf("--%s is no URL; want http://host:port", d.flag)
	case base.Scheme != "http" && base.Scheme != "https", base.Host == "", base.RawQuery != "", base.Fragment != "":
		return nil, usageErrorf("--%s must be like http://host:port or https://host:port", d.flag)
	case base.User != nil:
		return nil, usageErrorf("--%s holds credentials before an @; they come from --token-file", d.flag)
	}
	c := &connection{base: base, flag: d.flag}
	if d.tokenFile != "" {
		file, err := os.ReadFile(d.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		tokens, err := server.ParseTokens(file)
		if err != nil {
			return nil, fmt.Errorf("--token-file %s: %w", d.tokenFile, err)
		}
		c.token = tokens[0]
	}
	// No limit for a whole answer: a commit may take minutes.
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if d.caCert != "" {
		pem, err := os.ReadFile(d.caCert)
		if err != nil {
			return nil, fmt.Errorf("--ca-cert: %w", err)
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca-cert: %s holds no certificate in PEM form", d.caCert)
		}
	}
	// The API has no redirects, and a token is not for whom one would lead to.
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// do sends a request, and sends it once more to the leader if the answer names one.
// The caller closes the body of the answer, which is a success.
func (c *connection) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	target := c.base.String() + path
	response, err := c.send(ctx, method, target, data)
	if err == nil && response.StatusCode == http.StatusServiceUnavailable {
		if leader := response.Header.Get("Location"); leader != "" {
			response.Body.Close()
			if target, err = c.sentOn(leader); err == nil {
				response, err = c.send(ctx, method, target, data)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		defer response.Body.Close()
		return nil, problemOf(method, target, response)
	}
	return response, nil
}

// sentOn checks where a daemon says that the leader is: the token is not to be sent
// there in the clear if it was not so before.
func (c *connection) sentOn(location string) (string, error) {
	u, err := url.Parse(location)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("%s says that the leader is at %.200q, which is no URL", c.base, location)
	case c.base.Scheme == "https" && u.Scheme != "https":
		return "", fmt.Errorf("%s says that the leader is at %s, which is not https; give that as --%s if it is right", c.base, u.Redacted(), c.flag)
	}
	return location, nil
}

func (c *connection) send(ctx context.Context, method, target string, data []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if len(data) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w; is a daemon there? (--%s)", err, c.flag)
	}
	return response, err
}

// maxProblem bounds what is read of an answer that tells a problem, in bytes.
const maxProblem = 64 << 10

// problemOf is the error that an answer tells.
func problemOf(method, target string, response *http.Response) error {
	var problem struct{ Detail, Outcome string }
	body, err := io.ReadAll(io.LimitReader(response.Body, maxProblem))
	if err == nil && response.Header.Get("Content-Type") == "application/problem+json" {
		_ = json.Unmarshal(body, &problem) // what can't be read has no detail
	}
	switch {
	case problem.Detail == "":
		return fmt.Errorf("%s %s: %s", method, target, response.Status)
	case problem.Outcome == "unknown":
		return fmt.Errorf("outcome unknown: %s", problem.Detail)
	}
	return errors.New(problem.Detail)
}
