// Package credential knows what looks like a secret, so that it is refused in a URL,
// which is logged and shown, before anything prints it.
package credential

import "strings"

var words = []string{"secret", "password", "passwd", "token", "credential", "accesskey", "accessid", "privatekey", "apikey", "signature", "user"}

// Named is the word in the name of a URL's parameter by which it would hold a secret;
// empty if there is none. The name itself may be one, if it has no value, and is not for
// printing.
func Named(parameter string) string {
	name := strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(parameter))
	for _, word := range words {
		if strings.Contains(name, word) {
			return word
		}
	}
	return ""
}
