package schema

import (
	"fmt"
	"strings"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// maxIdentifier is the most characters of an identifier.
const maxIdentifier = 255

// ValidIdentifier reports whether s may be part of a job key: ASCII letters, digits, underscores,
// hyphens and dots, at least one and at most 255.
func ValidIdentifier(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxIdentifier
}

// ValidJobKey reports whether k is there and its three parts are valid identifiers.
func ValidJobKey(k *api.JobKey) bool {
	return k != nil && ValidIdentifier(k.Role.Get()) && ValidIdentifier(k.Environment.Get()) && ValidIdentifier(k.Name.Get())
}

// JobKeyString returns role/environment/name. For a nil k it is two slashes.
func JobKeyString(k *api.JobKey) string {
	if k == nil {
		k = &api.JobKey{}
	}
	return k.Role.Get() + "/" + k.Environment.Get() + "/" + k.Name.Get()
}

// ParseJobKey reads what JobKeyString writes for a valid key, and refuses all else.
func ParseJobKey(s string) (*api.JobKey, error) {
	parts := strings.Split(s, "/")
	if len(parts) == 3 {
		if k := NewJobKey(parts[0], parts[1], parts[2]); ValidJobKey(k) {
			return k, nil
		}
	}
	return nil, fmt.Errorf("job key %q: want role/environment/name, each of letters, digits and _-. and at most %d long", s, maxIdentifier)
}

// NewJobKey returns a key of the three parts, valid or not.
func NewJobKey(role, environment, name string) *api.JobKey {
	return &api.JobKey{Role: api.Some(role), Environment: api.Some(environment), Name: api.Some(name)}
}
