package main

// rows are what an operator sees, the most urgent first.
func rows() []row {
	return []row{atAGlance(), leadership(), commits(), requests(), recovery(), upkeep(), clients(), cost(), processes()}
}

// one is a query with one line.
func one(legend, expr string) []query { return []query{{legend, expr}} }

func atAGlance() row {
	return row{"At a glance", []panel{
		{kind: "stat", title: "Leader", name: true, help: "Empty: nobody leads, and nothing can be written.",
			queries: one("{{instance}}", `scheduler_store_leader{job="$job"} == 1`)},
		{kind: "stat", title: "Alerts", bad: 1, help: "Alerts of this cell that fire. What to do for each is in docs/runbook.md.",
			queries: one("firing", `count(ALERTS{alertname=~"SchedulerStore.*", alertstate="firing", job="$job"}) or vector(0)`)},
		{kind: "stat", title: "Processes", help: "Those that answer. One alone has nobody to take over.",
			queries: one("answer", `sum(up{job="$job"})`)},
		{kind: "stat", title: "Problems", bad: 1, help: "Processes that can't go on; /v1/status of each says why.",
			queries: one("processes", `sum(scheduler_store_problem{job="$job"})`)},
		{kind: "stat", title: "Damage", bad: 1, help: "Damaged or missing objects found since the processes started.",
			queries: one("times", `sum(scheduler_store_log_damaged_objects_total{job="$job"})`)},
		{kind: "stat", title: "Restore last proved", unit: "s", bad: 2 * 86400, help: "Time since the last rehearsed restore that succeeded in any process that runs.",
			queries: one("ago", `time() - max(scheduler_store_last_rehearsal_timestamp_seconds{job="$job"} > 0)`)},
		{kind: "stat", title: "Last backup", unit: "s", help: "Time since the last backup by a process that runs. An idle cell makes none.",
			queries: one("ago", `time() - max(scheduler_store_last_backup_timestamp_seconds{job="$job"} > 0)`)},
		{kind: "stat", title: "Requests in a month", unit: "currencyUSD", help: "At the rate of the last six hours, by list prices; what is stored is not in it.",
			queries: one("a month", `scheduler_store:cost_dollars_per_month{job="$job"}`)},
	}}
}

func leadership() row {
	return row{"Leadership", []panel{
		{kind: "states", title: "Who leads", help: "A gap between two bars is a time in which nothing could be written.",
			queries: one("{{instance}}", `scheduler_store_leader{job="$job"}`)},
		{title: "Lease", unit: "percentunit", help: "Time left until the leader's deadline, as a part of the TTL: between 0.57 and 0.9 while renewals come in time. At 0 it stops.",
			queries: one("{{instance}}", `scheduler_store_lease_remaining_seconds{job="$job"} / scheduler_store_lease_ttl_seconds{job="$job"}`)},
		{title: "Renewals", unit: "ops", help: "Tries to renew the lease: error is a request that failed, changed an object that was not as expected.",
			queries: one("{{result}}", rate("scheduler_store_lease_renewals_total", "", "result"))},
		{title: "Epoch", help: "Each leadership has the next number. A staircase is a fail-over loop.",
			queries: one("epoch", `max(scheduler_store_lease_epoch{job="$job"})`)},
		{title: "Fail-over, by stage", unit: "s", help: "What each stage of taking over took each process, on average since it started.",
			queries: one("{{instance}} {{stage}}", `sum by (instance, stage) (scheduler_store_failover_seconds_sum{job="$job"}) / sum by (instance, stage) (scheduler_store_failover_seconds_count{job="$job"})`)},
		{title: "Leaderships that ended", help: "Stopped: handed over, or the lease was lost; deposed: by another's seal; failed: a PUT without a clear answer; restored: the state was replaced.",
			queries: one("{{reason}}", `sum by (reason) (increase(scheduler_store_log_writers_ended_total{job="$job"}[$__rate_interval]))`)},
	}}
}

func commits() row {
	return row{"Commits", []panel{
		{title: "Commit latency", unit: "s", help: "From the hand-over to the log to the acknowledgement.",
			queries: []query{{"p50", quantile(0.5, "scheduler_store_log_commit_seconds", "")}, {"p95", quantile(0.95, "scheduler_store_log_commit_seconds", "")},
				{"p99", quantile(0.99, "scheduler_store_log_commit_seconds", "")}, {"target of p99", "scheduler_store:commit_target_seconds"}}},
		{title: "Transactions", unit: "ops", help: "Acknowledged, and those that failed.",
			queries: []query{{"{{instance}}", rate("scheduler_store_log_records_written_total", "", "instance")},
				{"{{instance}} failed", rate("scheduler_store_storage_transactions_failed_total", "", "instance")}}},
		{title: "PUTs of the log", unit: "ops", help: "What is paid for: one for each entry.",
			queries: one("{{instance}}", rate("scheduler_store_bucket_requests_total", `object="log", operation="create"`, "instance"))},
		{title: "Entries", help: "Transactions in each entry: group commit at work.",
			queries: one("transactions an entry", rate("scheduler_store_log_records_written_total", "", "job")+" / "+rate("scheduler_store_log_entries_written_total", "", "job"))},
		{title: "Queue", unit: "bytes", help: "Transactions that wait to be sent. One that stays full means that more comes than goes.",
			queries: one("{{instance}}", `scheduler_store_log_queue_bytes{job="$job"}`)},
		{title: "Entries on their way", help: "Up to the cell's window at once.",
			queries: one("{{instance}}", `scheduler_store_log_uploads{job="$job"}`)},
		{title: "Write lock", unit: "s", help: "Waiting for the lock and for room in the queue, and the work under the lock.",
			queries: []query{{"wait, p99", quantile(0.99, "scheduler_store_storage_write_lock_wait_seconds", "")}, {"work, p99", quantile(0.99, "scheduler_store_storage_work_seconds", "")}}},
		{title: "Bytes of the log", unit: "Bps", help: "Of acknowledged entries, as stored.",
			queries: one("{{instance}}", rate("scheduler_store_log_bytes_written_total", "", "instance"))},
		{title: "Ops", unit: "ops", help: "What the transactions are made of.",
			queries: one("{{op}}", rate("scheduler_store_storage_ops_total", "", "op"))},
	}}
}

func requests() row {
	return row{"Bucket", []panel{
		{title: "Requests", unit: "reqps", queries: one("{{operation}} {{object}}", rate("scheduler_store_bucket_requests_total", "", "operation, object")),
			help: "By operation and object. Those to the bucket of --backups have the object backup."},
		{title: "Request errors", unit: "reqps", help: "All answers but ok. not_found is normal where followers ask for the next entry; error, denied and cancelled are not.",
			queries: one("{{operation}} {{object}} {{result}}", rate("scheduler_store_bucket_requests_total", `result!="ok"`, "operation, object, result"))},
		{title: "Request latency", unit: "s", help: "99 in 100 take less. create is the PUT of a commit, replace that of a renewal.",
			queries: one("{{operation}}", quantile(0.99, "scheduler_store_bucket_request_seconds", "operation"))},
		{title: "Retries and hedges", unit: "reqps", help: "Tries after one that failed; requests that were slow and sent once more, and those of them that were answered first.",
			queries: []query{{"retries", `sum(rate(scheduler_store_bucket_retries_total{job="$job"}[$__rate_interval])) or vector(0)`},
				{"hedges of {{operation}}", rate("scheduler_store_bucket_hedges_total", "", "operation")},
				{"hedges won of {{operation}}", rate("scheduler_store_bucket_hedges_won_total", "", "operation")}}},
		{title: "Bytes", unit: "Bps", queries: one("{{operation}}", rate("scheduler_store_bucket_bytes_total", "", "operation")), help: "Of bodies, read and written."},
		{title: "Data keys", help: "Number of the data key that seals, 0 without encryption; and times that a key could not be had.",
			queries: []query{{"{{instance}} key", `scheduler_store_key_number{job="$job"}`}, {"{{instance}} failures", `scheduler_store_key_failures_total{job="$job"}`}}},
	}}
}

func recovery() row {
	return row{"Recovery and following", []panel{
		{title: "Replay", unit: "s", help: "How long a recovery would read the log behind the newest snapshot, and how long it may.",
			queries: []query{{"{{instance}}", `scheduler_store_replay_estimate_seconds{job="$job"} and scheduler_store_leader{job="$job"} == 1`}, {"target", `max(scheduler_store_replay_target_seconds{job="$job"})`}}},
		{title: "Snapshot age", unit: "s", help: "Since the newest snapshot, and the interval.",
			queries: []query{{"{{instance}}", `time() - (scheduler_store_last_snapshot_timestamp_seconds{job="$job"} > 0)`}, {"interval", `max(scheduler_store_snapshot_interval_seconds{job="$job"})`}}},
		{title: "Since the last snapshot, and backup", help: "Transactions.",
			queries: []query{{"snapshot", `max(scheduler_store_unsnapshotted_transactions{job="$job"})`}, {"automatic backup", `max(scheduler_store_unbacked_transactions{job="$job"})`}}},
		{title: "Follower lag, in entries", help: "Behind the process that is furthest. Scrapes are not simultaneous: under load there is always some.",
			queries: one("{{instance}}", `scalar(max(scheduler_store_log_position{job="$job"})) - scheduler_store_log_position{job="$job"}`)},
		{title: "Follower lag, in time", unit: "s", help: "How long the oldest entry that a follower knows of waits to be applied.",
			queries: one("{{instance}}", `scheduler_store_log_lag_seconds{job="$job"}`)},
		{title: "Recoveries", unit: "s", help: "What the last one took, and how long one that is under way will still take.",
			queries: []query{{"{{instance}} took", `scheduler_store_recovery_seconds{job="$job"}`}, {"{{instance}} left", `scheduler_store_log_recovery_seconds_left{job="$job"}`}}},
	}}
}

func upkeep() row {
	return row{"Snapshots, garbage, rehearsals, backups", []panel{
		{title: "Snapshots", unit: "s", help: "What making one takes, on average since the process started.",
			queries: one("{{instance}}", `scheduler_store_snapshot_seconds_sum{job="$job"} / (scheduler_store_snapshot_seconds_count{job="$job"} > 0)`)},
		{title: "Bytes of snapshots", unit: "Bps", queries: one("{{kind}}", rate("scheduler_store_snapshot_bytes_total", "", "kind")), help: "Written, full and incremental."},
		{title: "Garbage removed", unit: "ops", queries: one("{{class}}", rate("scheduler_store_garbage_objects_total", "", "class")), help: "Objects, by class."},
		{title: "Garbage collection", unit: "s", help: "Since the last one that came to its end. Where nothing is written there is nothing to collect.",
			queries: one("{{instance}} ago", `time() - (scheduler_store_last_garbage_collection_timestamp_seconds{job="$job"} > 0)`)},
		{title: "Garbage left", help: "Objects that can't be told to be garbage, in the last collection; the log names them.",
			queries: one("{{instance}}", `scheduler_store_garbage_left_objects{job="$job"}`)},
		{title: "Background failures", queries: one("{{instance}} {{work}}", `scheduler_store_background_errors_total{job="$job"}`), help: "Since the process started; the work is tried again."},
		{title: "Rehearsed restores", queries: one("{{instance}} {{result}}", `scheduler_store_rehearsals_total{job="$job"}`), help: "Since the process started. different and damaged are alarms."},
		{title: "Rehearsals take", unit: "s", help: "What recovering the whole state took in the last one: so long a process that starts from nothing would take.",
			queries: one("{{instance}}", `scheduler_store_rehearsal_seconds{job="$job"}`)},
		{title: "Backups", queries: one("{{instance}} {{result}}", `scheduler_store_backups_total{job="$job"}`), help: "Made since the process started."},
	}}
}

func clients() row {
	return row{"HTTP", []panel{
		{title: "Answers", unit: "reqps", queries: one("{{code}}", rate("scheduler_store_http_requests_total", "", "code")), help: "By status. 503 is from a process that does not lead, or is full."},
		{title: "Transactions over HTTP", unit: "s", help: "From a request's header to the end of its answer.",
			queries: []query{{"p50", `histogram_quantile(0.5, sum by (le) (rate(scheduler_store_http_request_seconds_bucket{job="$job", route="/v1/transactions"}[$__rate_interval])))`},
				{"p99", `histogram_quantile(0.99, sum by (le) (rate(scheduler_store_http_request_seconds_bucket{job="$job", route="/v1/transactions"}[$__rate_interval])))`}}},
		{title: "Transactions in hand", help: "Those that wait for their answer. From 4,096 on more are refused.",
			queries: []query{{"{{instance}} waiting", `scheduler_store_http_transactions_waiting{job="$job"}`}, {"{{instance}} refused in a second", rate("scheduler_store_http_transactions_refused_total", "", "instance")}}},
		{title: "Requests and watchers", queries: []query{{"{{instance}} requests", `scheduler_store_http_requests_running{job="$job"}`}, {"{{instance}} watchers", `scheduler_store_watchers{job="$job"}`}}, help: "That are being answered now."},
	}}
}

func cost() row {
	return row{"Cost", []panel{
		{title: "Dollars a month, by cause", unit: "currencyUSD", width: columns / 2, help: "At the rate of the last six hours, all processes, by list prices. Too low in the first six hours of a process.",
			queries: []query{{"{{cause}}", `sum by (cause) (rate(scheduler_store_cost_dollars_total{job="$job"}[6h])) * 730 * 3600`}, {"budget", "scheduler_store:cost_budget_dollars_per_month"}}},
		{title: "Dollars so far, by cause", unit: "currencyUSD", width: columns / 2, help: "Since the processes that run have started.",
			queries: one("{{cause}}", `sum by (cause) (scheduler_store_cost_dollars_total{job="$job"})`)},
	}}
}

func processes() row {
	return row{"State and processes", []panel{
		{title: "Rows", queries: one("{{store}}", `max by (store) (scheduler_store_storage_rows{job="$job"})`), help: "Of each store, in the durable state."},
		{title: "Memory", unit: "bytes", queries: one("{{instance}}", `process_resident_memory_bytes{job="$job"}`), help: "Resident."},
		{title: "Processor", unit: "percentunit", queries: one("{{instance}}", `rate(process_cpu_seconds_total{job="$job"}[$__rate_interval])`), help: "Processors in use."},
		{kind: "stat", title: "Versions", name: true, width: columns / 3, queries: one("{{instance}} {{version}}", `scheduler_store_build_info{job="$job"}`), help: "What each process was built from."},
	}}
}
