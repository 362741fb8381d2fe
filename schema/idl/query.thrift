// Queries of the stores and answers of their administration; none of it is stored. The rules at the
// top of api.thrift hold here too.

include "api.thrift"

/** Selects tasks. Each field that is set restricts; an unset or empty set does not. */
struct TaskQuery {
  // Retired: 8 owner.
  2: optional string jobName
  4: optional set<string> taskIds
  5: optional set<api.ScheduleStatus> statuses
  7: optional set<i32> instanceIds
  9: optional string environment
  10: optional set<string> slaveHosts
  11: optional set<api.JobKey> jobKeys
  /** Not looked at by the store. */
  12: optional i32 offset
  /** Not looked at by the store. */
  13: optional i32 limit
  /** A blank one does not restrict. */
  14: optional string role
}

/** Selects job updates. */
struct JobUpdateQuery {
  /** Role of the update's job. */
  2: optional string role
  3: optional api.JobKey jobKey
  /** Who began it. */
  4: optional string user
  /** Any of these; empty means all. */
  5: optional set<api.JobUpdateStatus> updateStatuses
  /** Results to skip. */
  6: i32 offset
  /** Results to return; zero or less means all. */
  7: i32 limit
  8: optional api.JobUpdateKey key
}

/** Outcome of a call. */
enum ResponseCode {
  INVALID_REQUEST = 0
  OK = 1
  ERROR = 2
  WARNING = 3
  AUTH_FAILED = 4
  JOB_UPDATING_ERROR = 5
  ERROR_TRANSIENT = 6
}

/** A message for the caller. */
struct ResponseDetail {
  1: optional string message
}

/** Who answered. */
struct ServerInfo {
  1: optional string clusterName
  3: optional string statsUrlPrefix
}

/** Names of the backups at hand. */
struct ListBackupsResult {
  1: optional set<string> backups
}

/** Tasks in a staged recovery. */
struct QueryRecoveryResult {
  1: optional set<api.ScheduledTask> tasks
}

/** What a call of the storage administration returns. */
union Result {
  6: ListBackupsResult listBackupsResult
  9: QueryRecoveryResult queryRecoveryResult
}

/** Answer to a call. */
struct Response {
  1: optional ResponseCode responseCode
  3: optional Result result
  5: optional ServerInfo serverInfo
  6: optional list<ResponseDetail> details
}
