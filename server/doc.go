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
// then it is a Transaction in Thrift's Binary protocol, without idempotency and
// committedKeys, which are not for clients to set. A missing Content-Type, and
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
//	                    is in Location and in the member "leader", if known
//	504  unknown        it may be durable or not: repeat it with its Idempotency-Key
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
// Unknown parameters, values and empty ones are refused, so that a typing error is
// not taken for a wider question.
//
// Every answer is of one durable state, and says in Scheduler-Store-Transaction,
// and as its ETag, which one: that after the transaction of this number. A follower
// may be behind the leader. With ?consistency=linearizable only a leader answers
// whose lease holds, others with 503: then everything is seen that was durable when
// the request came. Before the state is recovered reads are answered with 503.
//
// # Status, log, health
//
//	GET /v1/status          role, epoch, position, leader, problems
//	GET /v1/log             entries, newest first: ?limit=, ?before=POSITION; "next" is the next page
//	GET /v1/log/{position}  one entry with its transactions
//	GET /healthz            503 if something is wrong that will not pass, such as damage
//	GET /readyz             503 until the state is recovered, and while following does not work
//	GET /leaderz            200 only on a leader whose lease holds: for load balancers
//	GET /metrics            for Prometheus
//
// If there are bearer tokens, all but the three of health need one.
//
//	server.go      options, routes           problem.go     errors
//	write.go       transactions              conditions.go  their headers
//	read.go        which state answers       parameters.go  of a query
//	list.go        long lists, streamed      health.go      health, status
//	tasks.go, stores.go, updates.go: what is read           log.go: the log's entries
//	middleware.go  around every request      auth.go        bearer tokens
package server
