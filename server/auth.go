package server

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// ParseTokens reads the bearer tokens of a file: one a line; blank lines and those
// that begin with # are left out. A file without tokens is refused, as it would let
// everybody in. No error has a token in it.
func ParseTokens(file []byte) ([]string, error) {
	var tokens []string
	lines := bufio.NewScanner(bytes.NewReader(file))
	for n := 1; lines.Scan(); n++ {
		token := strings.TrimSpace(lines.Text())
		if token == "" || strings.HasPrefix(token, "#") {
			continue
		}
		if strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return nil, fmt.Errorf("tokens: line %d: want one token of printable ASCII characters, without spaces", n)
		}
		tokens = append(tokens, token)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	if len(tokens) == 0 {
		return nil, errors.New("tokens: there are none; make one with 'openssl rand -hex 32'")
	}
	return tokens, nil
}

// tokenHash is what is kept of a token. Hashes have one length, so that comparing
// them tells nothing of the token, not even how long it is.
type tokenHash [sha256.Size]byte

func hashTokens(tokens []string) []tokenHash {
	hashes := make([]tokenHash, len(tokens))
	for i, token := range tokens {
		hashes[i] = sha256.Sum256([]byte(token))
	}
	return hashes
}

// open are the paths that need no token: what watches over a process has none.
var open = []string{"/healthz", "/readyz", "/leaderz"}

// authorize refuses a request that needs a token and has none.
func (s *server) authorize(w http.ResponseWriter, r *http.Request) error {
	if len(s.tokens) == 0 || slices.Contains(open, r.URL.Path) {
		return nil
	}
	refuse := func(challenge, detail string) error {
		w.Header().Set("WWW-Authenticate", challenge)
		return newProblem(http.StatusUnauthorized, "unauthorized", "unauthorized", "%s", detail)
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return refuse(`Bearer realm="scheduler-store"`, "send a token: 'Authorization: Bearer TOKEN'")
	}
	given, known := tokenHash(sha256.Sum256([]byte(token))), 0
	for _, hash := range s.tokens {
		known |= subtle.ConstantTimeCompare(hash[:], given[:])
	}
	if known == 0 {
		return refuse(`Bearer realm="scheduler-store", error="invalid_token"`, "the token is not known here")
	}
	return nil
}
