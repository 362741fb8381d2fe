// Package server is a store over HTTP: JSON with the field names of the IDL, enums
// by name, errors as RFC 9457 problem documents.
//
//	handler := server.New(store, server.Options{})
//	err := server.HTTPServer(handler).Serve(listener)
//
// # Writing
//
//	curl http://127.0.0.1:8410/v1/transactions -d '{"ops":[{"saveTasks":{"tasks":[…]}}]}'
//	{"transaction":41,"position":17,"epoch":3}
//
// The answer comes when the transaction is durable: 41 is its number, 17 the
// position of the log's entry that holds it, and 3 the epoch of the leader that
// wrote it. All of its ops take effect, or none. If no op changes anything, nothing
// is written, and the answer is that of the last transaction.
//
// The body is JSON unless Content-Type says application/vnd.apache.thrift.binary:
// then it is a Transaction in Thrift's Binary protocol, without idempotency,
// committedKeys and deduplicatedTasks, which are not for clients to set. A missing Content-Type, and
// application/x-www-form-urlencoded, which curl -d sends by itself, count as JSON.
// The body of other types is refused.
//
//	If-Match: "40"        only if the last transaction has this number; 0 for none
//	Idempotency-Key: k    a repeat has no effect and gets the first answer, also from
//	                      a later leader; 1 to 255 printable ASCII characters
//
// Two requests are the same if their bodies are, byte by byte. Errors tell what
// became of the transaction in the member "outcome":
//
//	400  not committed  malformed, or refused by a store, such as an event of an
//	                    update that is not there
//	412  not committed  other transactions have come since the one of If-Match
//	413  not committed  too large
//	415  not committed  a body of another type
//	422  not committed  the idempotency key belongs to another request
//	503  not committed  this process does not lead, or was deposed; the leader's URL
//	                    is in Location and in the member "leader", if known; or the
//	                    store had no room for it
//	503  not committed  of type urn:scheduler-store:problem:overloaded: 4096 transactions,
//	                    or 64 MiB of them, wait here already. Repeat it here, after
//	                    Retry-After
//	504  unknown        it may be durable or not: repeat it with its Idempotency-Key, or
//	                    read whether it took effect
//
// # Reading
//
//	GET /v1/tasks                                    role environment job id instance status host slave
//	GET /v1/tasks/{id}
//	GET /v1/cron-jobs                                role environment job
//	GET /v1/cron-jobs/{role}/{environment}/{name}
//	GET /v1/quotas                                   role
//	GET /v1/quotas/{role}
//	GET /v1/hosts                                    host
//	GET /v1/hosts/{host}
//	GET /v1/job-updates                              role job user status id
//	GET /v1/job-updates/{role}/{environment}/{name}/{id}
//	GET /v1/maintenance                              host
//	GET /v1/maintenance/{host}
//	GET /v1/framework-id                             {"frameworkId":"…"}, null if none was ever saved
//
// A list is {"tasks":[…],"total":n}, named for what it holds: tasks, cronJobs,
// quotas, hosts, jobUpdates, maintenance. total counts what matches, whatever
// offset and limit leave of it; limit=0 is no limit. One thing alone looks as it
// does in the list. What is not there is 404.
//
// Filters are combined: all must hold. The filters role, environment and user are
// given once; the others may be repeated, and then any of the values will do. job
// is the name alone, given once, or role/environment/name; for updates only the
// latter. host is the host that a task is on; slave is that, or the agent's id.
// Unknown parameters and values are refused, and so are empty and blank ones, so that
// a typing error is not taken for a wider question.
//
// Every answer is of one durable state, and says in Scheduler-Store-Transaction,
// and as its ETag, which one: that after the transaction of this number. A follower
// may be behind the leader. With ?consistency=linearizable only a leader answers
// whose lease holds, others with 503: then everything is seen that was durable when
// the request came. Before the state is recovered reads are answered with 503.
//
// # Watching
//
//	curl -N http://127.0.0.1:8410/v1/watch?from=41
//	id: 41
//	event: transaction
//	data: {"transaction":41,"position":17,"epoch":3,"time":"…","ops":[{"saveTasks":…}],"events":[{"taskStateChanged":{"task":{…},"oldState":"PENDING"}}]}
//
// GET /v1/watch tells of every durable transaction from a number on, then of those to
// come, as server-sent events: each once and in order. Without from it begins with the
// next. Last-Event-ID wins over from: a client that comes back with it goes on behind
// the event that had that id, with this process or any other of the store; a follower
// tells of a transaction when it has read it.
//
// The data is one line of JSON. events are what the ops mean to a scheduler:
// taskStateChanged (oldState is INIT for a new task), tasksDeleted with the tasks as
// they were, hostAttributesChanged. There are no events in a transaction that is read
// back from the log as it is too old to be in memory. The event reset, whose data has
// no ops, tells that the state was replaced as a whole, and that what came before may
// not have been told: read the state anew.
//
// An idle stream has a comment line each 15 seconds. A client that does not take what
// it is sent within 30 is cut off. When the process ends, streams end.
//
//	400  from or Last-Event-ID is no number
//	410  the transaction was collected: read the state, and watch from the number
//	     behind its Scheduler-Store-Transaction
//	503  the state is not recovered yet, or too many watch
//
// # Snapshots, backups, recovery
//
//	POST   /v1/snapshots        {"reason":"…"}: makes one now, on the leader only
//	GET    /v1/snapshots        newest first
//	POST   /v1/gc               {"dryRun":true,"keep":3,"window":"24h","grace":"1h"}: collects garbage now, on the
//	                            leader only, or tells what would go
//	POST   /v1/rehearsals       recovers the state beside this process's own, and compares them; any process
//	POST   /v1/restore          {"backup":"…"} or {"at":"17"}, and "reason": makes that the state, on the leader only;
//	                            200 with the transaction that did it, and at as 'state --at' takes it
//	POST   /v1/backups          {"name":"…","reason":"…","expires":"720h"}: makes one; 201, and 409 if there is one of that name
//	GET    /v1/backups          newest first
//	GET    /v1/backups/{name}
//	DELETE /v1/backups/{name}   on the leader only; 204
//
// No member of a body need be given, nor a body. A backup without a name gets one from
// the time, and goes when newer ones come. One that expires, at a time (RFC 3339) or one
// from now on (720h, 30d), goes after the next automatic backup from then on, or when
// garbage is collected on request; not while it is pinned. What a collection's request
// leaves out is as the daemon was told.
//
// The list also has the snapshots that are pinned under a name: "kind" is "backup" or
// "snapshot", "snapshot" that one's own name, "cell" the id of the cell, "expires" when it
// expires, and "pin" what keeps it: "reason", "by", "made", and "expires", from when on
// it keeps nothing; never, if that is missing. Lists are {"backups":[…],"total":n}; what
// can't be read of them is named in "problems".
//
// A backup becomes the state in steps (Aurora: stageRecovery, queryRecovery,
// deleteRecoveryTasks, commitRecovery, unloadRecovery). It is staged in the memory of
// the leader; a process that has none staged and does not lead answers with 503 and
// the leader's URL. At most one is staged at a time.
//
//	POST   /v1/recovery         {"backup":"name"}: stages it; 409 if another is staged
//	GET    /v1/recovery         what is staged; 404 if nothing is, here and below
//	GET    /v1/recovery/tasks   with the filters of /v1/tasks
//	DELETE /v1/recovery/tasks   with the same filters, or ?all=true; {"deleted":n}
//	POST   /v1/recovery/commit  {"transaction":42,"position":18,"epoch":3}
//	DELETE /v1/recovery         nothing is staged any more; 204, also if nothing was
//
// Nothing but the commit changes the state. It replaces all of it, as one transaction,
// and its errors have an outcome as those of transactions do; If-Match makes it
// conditional likewise. Then the leader campaigns anew, as its process goes on. Nothing
// is staged any more then, unless the commit surely failed: a repeat must not undo what
// was written since. It is forgotten, too, by a process that does not lead any more.
// What takes long has no time limit, and ends when the client goes away.
//
// # Status, log, health
//
//	GET /v1/status          role, epoch, position, leader, problems, cost
//	GET /v1/log             entries, newest first: ?limit=, ?before=POSITION; "next" is the next page
//	GET /v1/log/{position}  one entry with its transactions
//	GET /healthz            503 if something is wrong that will not pass, such as damage
//	GET /readyz             503 until the state is recovered, and while following does not work
//	GET /leaderz            200 only on a leader whose lease holds: for load balancers;
//	                        ?wait=30s is answered when this process holds no lease any
//	                        more (503), or after that time, which is 30 s at most
//	GET /metrics            for Prometheus
//
// If there are bearer tokens, all but the three of health need one.
//
//	server.go      options, routes           problem.go     errors
//	write.go       transactions              conditions.go  their headers
//	read.go        which state answers       parameters.go  of a query
//	list.go        long lists, streamed      health.go      health, status
//	standby.go     hand-over: who waits for leadership to end is told
//	watch.go       transactions as they come
//	inhand.go      how many transactions may wait
//	body.go        of requests               snapshots.go, backups.go, recovery.go
//	tasks.go, stores.go, updates.go: what is read           log.go: the log's entries
//	middleware.go  around every request      auth.go        bearer tokens
package server
