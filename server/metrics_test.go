package server

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// auroraNames are those of Aurora's metrics that have a counterpart here, as far as
// a store and its API alone have them: each stands in the help of that.
var auroraNames = map[string]string{
	"storage_write_lock_wait":                   "scheduler_store_storage_write_lock_wait_seconds",
	"scheduler_storage_prepare":                 "scheduler_store_recovery_seconds",
	"scheduler_storage_recover":                 "scheduler_store_recovery_seconds",
	"snapshot_apply":                            "scheduler_store_recovery_seconds",
	"scheduler_backup_success":                  "scheduler_store_backups_total",
	"scheduler_backup_failed":                   "scheduler_store_backups_total",
	"scheduler_storage_start":                   "scheduler_store_failover_seconds",
	"mem_storage_write_operation":               "scheduler_store_storage_work_seconds",
	"mem_storage_save_tasks":                    "scheduler_store_storage_ops_total",
	"mem_storage_delete_tasks":                  "scheduler_store_storage_ops_total",
	"mem_storage_mutate_task":                   "scheduler_store_storage_ops_total",
	"mem_storage_cron_save_accepted_job":        "scheduler_store_storage_ops_total",
	"mem_storage_cron_remove_job":               "scheduler_store_storage_ops_total",
	"job_update_store_save_update":              "scheduler_store_storage_ops_total",
	"job_update_store_save_event":               "scheduler_store_storage_ops_total",
	"job_update_store_save_instance_event":      "scheduler_store_storage_ops_total",
	"job_update_store_delete_updates":           "scheduler_store_storage_ops_total",
	"job_update_store_prune_history":            "scheduler_store_prune_seconds",
	"job_updates_pruned":                        "scheduler_store_job_updates_pruned_total",
	"scheduler_log_snapshot":                    "scheduler_store_snapshot_seconds",
	"scheduler_log_snapshot_persist":            "scheduler_store_snapshot_seconds",
	"scheduler_log_snapshots":                   "scheduler_store_snapshot_seconds",
	"snapshot_create":                           "scheduler_store_snapshot_seconds",
	"snapshot_save_*":                           "scheduler_store_snapshot_seconds",
	"log_manager_snapshot":                      "scheduler_store_snapshot_seconds",
	"snapshot_restore_*":                        "scheduler_store_storage_records_replayed_total",
	"log_manager_append":                        "scheduler_store_log_commit_seconds",
	"scheduler_log_native_read":                 "scheduler_store_bucket_request_seconds",
	"scheduler_log_native_append":               "scheduler_store_bucket_request_seconds",
	"scheduler_log_native_truncate_before":      "scheduler_store_bucket_request_seconds",
	"scheduler_log_native_*_failures":           "scheduler_store_bucket_requests_total",
	"scheduler_log_native_*_timeouts":           "scheduler_store_bucket_retries_total",
	"scheduler_log_bytes_read":                  "scheduler_store_bucket_bytes_total",
	"scheduler_log_bytes_written":               "scheduler_store_log_bytes_written_total",
	"scheduler_log_entries_written":             "scheduler_store_log_entries_written_total",
	"scheduler_log_entries_read":                "scheduler_store_log_entries_read_total",
	"scheduler_log_bad_frames_read":             "scheduler_store_log_damaged_objects_total",
	"scheduler_log_un_snapshotted_transactions": "scheduler_store_unsnapshotted_transactions",
	"task_queries_by_id":                        "scheduler_store_storage_task_queries_total",
	"task_queries_by_job":                       "scheduler_store_storage_task_queries_total",
	"task_queries_by_host":                      "scheduler_store_storage_task_queries_total",
	"task_queries_all":                          "scheduler_store_storage_task_queries_total",
	"task_store_index_job_items":                "scheduler_store_storage_task_index_entries",
	"task_store_index_host_items":               "scheduler_store_storage_task_index_entries",
	"mem_storage_cron_size":                     "scheduler_store_storage_rows",
	"mem_storage_attribute_size":                "scheduler_store_storage_rows",
	"mem_storage_quota_size":                    "scheduler_store_storage_rows",
	"mem_storage_update_size":                   "scheduler_store_storage_rows",
	"mem_storage_maintenance_size":              "scheduler_store_storage_rows",
	"update_transition_*":                       "scheduler_store_storage_job_update_events_total",
	"update_instance_transition_*":              "scheduler_store_storage_job_instance_update_events_total",
	"async_executor_uncaught_exceptions":        "scheduler_store_background_errors_total",
	"scheduler_thrift_*":                        "scheduler_store_http_request_seconds",
	"scheduler_thrift_response_*":               "scheduler_store_http_requests_total",
}

// described collects the names and help texts of what is registered, used or not.
type described struct {
	prometheus.Registerer
	help   map[string]string
	labels map[string][]string
}

func (d described) Register(c prometheus.Collector) error {
	descriptions := make(chan *prometheus.Desc, 10)
	c.Describe(descriptions)
	close(descriptions)
	for desc := range descriptions {
		text := desc.String() // Desc{fqName: "…", help: "…", …
		_, text, _ = strings.Cut(text, `fqName: "`)
		name, text, _ := strings.Cut(text, `", help: "`)
		help, text, _ := strings.Cut(text, `", `)
		d.help[name] = help
		_, text, _ = strings.Cut(text, "constLabels: {")
		constant, variable, _ := strings.Cut(text, "}, variableLabels: {")
		d.labels[name] = nil
		for label := range strings.SplitSeq(constant, ",") {
			if label, _, ok := strings.Cut(label, "="); ok {
				d.labels[name] = append(d.labels[name], label)
			}
		}
		if variable = strings.TrimSuffix(variable, "}}"); variable != "" {
			d.labels[name] = append(d.labels[name], strings.Split(variable, ",")...)
		}
	}
	return d.Registerer.Register(c)
}

func (d described) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := d.Register(c); err != nil {
			panic(err)
		}
	}
}

func TestMetricsNameTheirForerunners(t *testing.T) {
	d, registry := allMetrics(t)
	for old, name := range auroraNames {
		_, names, _ := strings.Cut(d.help[name], "(Aurora: ")
		names, rest, _ := strings.Cut(names, ")")
		if rest != "." {
			t.Errorf("the help of %s does not end with Aurora's names: %q", name, d.help[name])
		}
		names = strings.TrimPrefix(names, "the events of ")
		found := false
		for one := range strings.SplitSeq(names, ", ") {
			found = found || one == old
		}
		if !found {
			t.Errorf("%s does not name %s: %q", name, old, d.help[name])
		}
	}
	for name, help := range d.help {
		if _, names, ok := strings.Cut(help, "(Aurora: "); ok {
			names, _, _ = strings.Cut(names, ")")
			for old := range strings.SplitSeq(strings.TrimPrefix(names, "the events of "), ", ") {
				if auroraNames[old] != name {
					t.Errorf("%s names %q, which is not in the table", name, old)
				}
			}
		}
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
