// Package load puts more on real daemons than they like: a thousand clients for an hour,
// more work than the store can take, clients that misbehave, and a disk that is full.
//
//	soak_test.go      many clients for long: nothing may grow
//	judge.go          what "nothing grows" means
//	overload_test.go  thousands of clients at once on a slow store
//	crowd_test.go     clients that send slowly, do not read, or watch in masses
//	disk_test.go      a directory without room, or that has become read-only
package load
