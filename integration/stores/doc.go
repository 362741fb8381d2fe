// Package stores holds the tests of the store drivers against real servers: the
// conformance suite, injected faults, and crashes of the server. It has no code
// of its own.
package stores
