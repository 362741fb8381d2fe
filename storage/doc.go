// Package storage holds the scheduler's state in memory: tasks, cron jobs, quotas,
// host attributes, maintenance requests, job updates and the framework id.
//
// A State is one consistent version of all stores. It never changes, so any number
// of goroutines read it without locks for as long as they like. A transaction makes
// the next version:
//
//	state := storage.NewState(storage.Options{})
//	tx := state.Begin()
//	err := tx.Tasks().Save(task)
//	next := tx.Commit()          // state is as it was, next has the task
//
// The stores are copy-on-write trees. Begin copies nothing; the first write to a
// tree takes a copy that shares all nodes with the old one, and each write copies
// only the nodes on its path. So a transaction that is dropped costs nothing to
// undo, savepoints are free, and a snapshot or a slow reader holds an old version
// while newer ones are made.
//
// # Who owns a value
//
// The stores keep what they are given; they do not copy it. Whoever saves a value
// hands it over: it must be in canonical form (Canonicalize of package api) and must
// not be changed afterwards. What the stores return are the stored values
// themselves, shared by all versions and all readers: to change one, Clone it and
// save the clone. The one exception is Mutate of the task store, which hands its
// callback a copy that may be changed at will.
//
// # Where things are
//
//	storage.go     what stores can do: View and Mutable
//	state.go       State, one version          tx.go          Tx, the next version
//	tree.go        the copy-on-write tree      errors.go      the kinds of errors
//	tasks.go       task store                  taskquery.go   its queries
//	taskindex.go   rows and their indices      index.go       one index: groups of rows
//	bulk.go        filling an empty store
//	merge.go       reading groups by id        interning.go   one copy of equal configs
//	timed.go       how long a query takes      activity.go    which task moved last
//	keys.go        the order of keys           query.go       building task queries
//	cronjobs.go, quotas.go, hosts.go, maintenance.go, jobupdates.go: the other stores
//	updatequery.go queries of job updates      timeline.go    the events of an update
//	prune.go       which updates are history   page.go        offset and limit
//	diff.go        what differs between two
package storage
