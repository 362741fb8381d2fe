// Package schema is what the store persists, as Go: transactions and the operations in them, tasks,
// jobs, hosts, quotas, updates, snapshots.
//
// The folders:
//
//	idl         the Thrift IDL, which is the definition
//	gen         the generator, a module of its own
//	api         the Go types, generated
//	wire        the Thrift Binary protocol, which the generated code stands on
//	thriftjson  a reader of Thrift's JSON protocol, for the golden operations
//	testdata    the golden operations
//
// This package adds what the IDL does not say: compression, snapshots that hold each task
// configuration once, strict JSON, job keys, the sets of states, kinds of resources, tiers.
//
// # Canonical form
//
// Values are stored and compared in canonical form: an unset container counts as empty, an unset
// number or bool as zero, and sets have no order. Two values are equal when their canonical forms
// are, and these have equal bytes:
//
//	a.Equal(b)  ⇔  bytes.Equal(a.AppendCanonical(nil), b.AppendCanonical(nil))
//
// # Why a generator of our own
//
// Records live for years and come from a network, so the code that reads them must bear any bytes,
// and the code that writes them must not write what it could not read back. We tried the usual
// runtimes with a task of 1.6 KB (5 events, 3 resources, 3 ports, metadata, links):
//
//   - Apache Thrift checks that sets have no repetitions by comparing all pairs, which makes a
//     transaction of thousands of tasks slow, and in other work takes several times as long as
//     the next.
//   - fastgo of thriftgo is fast, but a wrong length makes it allocate until the process dies,
//     its output needs a patch to compile, and it has no sets of enums.
//   - Both write maps in random order, so that equal values have different bytes, and neither has
//     canonical forms, deep copies or strict JSON, which are half of what is generated here.
//
// The generator uses thriftgo's parser, so the IDL is Thrift and nothing else. These figures are
// the least of fifteen runs, each program in turn on one busy core (EPYC, Go 1.26):
//
//	                fastgo v0.4.1             this package
//	encode           705 ns, 0 allocs         1384 ns, 0 allocs (a quarter of it checks UTF-8)
//	decode          5662 ns, 114 allocs       3884 ns, 28 allocs
//	clone                                     1971 ns, 28 allocs
//	canonicalize                              1205 ns, 14 allocs
//	encode canonical                          1635 ns, 3 allocs
//	equal                                      436 ns, 0 allocs
//
// Those of this package come from
//
//	go test ./schema -run '^$' -bench . -benchtime 100ms -count 15 -cpu 1
//
// Decoding is the cheaper of the two because the strings of a record are cut from one copy of it.
package schema
