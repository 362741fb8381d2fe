// Package simulation runs whole clusters in one process, in virtual time, from a seed:
// three candidates for leadership, followers, clients, and a store that does to their
// requests what stores do on bad days. What happened is given to package check.
//
// One seed repeats one run exactly. Everything happens in a testing/synctest bubble, and
// every request and every answer goes through a network that lets one thing happen at a
// time: when all goroutines of all processes wait, it takes what they have sent in a
// canonical order, draws what becomes of each, and lets the one go on that is due first.
//
//	goroutines run ── all wait ── the next event ── goroutines run ── all wait ── …
//	                    │            a request takes effect, an answer arrives, a client
//	                    │            calls, a process is killed, frozen, started, …
//	                    virtual time passes only here
//
// All that is drawn comes from one source, in the order of events; so do the random
// names that processes give themselves.
//
// Each seed first draws a profile (profile.go): which kinds of faults there are at all,
// and how strong they are. Few kinds at once, but strong, find more than a little of
// everything.
//
//	run.go       a run from its first instant to its last
//	events.go    the queue of events, and the loop
//	network.go   requests on their way          link.go     a process's way to the bucket
//	profile.go   what a seed draws first        fate.go     what becomes of one request
//	themes.go    where draws alone rarely come
//	incidents.go what happens to processes      process.go  candidates and followers
//	clients.go   what clients do                timeline.go what is told of a run
package simulation
