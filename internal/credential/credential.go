// Package credential knows what looks like a secret, so that it is refused in a URL,
// which is logged and shown, before anything prints it.
package credential

import "strings"

var words = []string{"secret", "password", "passwd", "token", "credential", "accesskey", "accessid", "privatekey", "apikey", "signature", "user"}

// Named tells whether a URL's parameter of this name would hold a secret.
func Named(parameter string) bool {
	name := strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(parameter))
	for _, word := range words {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
