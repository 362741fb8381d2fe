// What the log, the snapshots and the backups hold. The rules at the top of api.thrift hold here too.

include "api.thrift"

// ---- Operations -----------------------------------------------------------------------------

/** Remembers the framework id. */
struct SaveFrameworkId {
  1: optional string id
}

/** Creates or replaces a cron job. */
struct SaveCronJob {
  // Retired: 1 manager id.
  2: optional api.JobConfiguration jobConfig
}

/** Drops a cron job. */
struct RemoveJob {
  2: optional api.JobKey jobKey
}

/** Inserts or replaces tasks. */
struct SaveTasks {
  1: optional set<api.ScheduledTask> tasks
}

/** Deletes tasks. */
struct RemoveTasks {
  1: optional set<string> taskIds
}

/** Sets the quota of a role. */
struct SaveQuota {
  1: optional string role
  2: optional api.ResourceAggregate quota
}

/** Deletes the quota of a role. */
struct RemoveQuota {
  1: optional string role
}

/** Creates or replaces what is known of a host. */
struct SaveHostAttributes {
  1: optional api.HostAttributes hostAttributes
}

/** Deprecated, ignored. */
struct SaveLock {
  1: optional api.Lock lock
}

/** Deprecated, ignored. */
struct RemoveLock {
  1: optional api.LockKey lockKey
}

/** Creates or replaces the definition of a job update. */
struct SaveJobUpdate {
  // Retired: 2 lockToken.
  1: optional api.JobUpdate jobUpdate
}

/** Adds to the history of a job update. */
struct SaveJobUpdateEvent {
  // Retired: 2 updateId.
  1: optional api.JobUpdateEvent event
  3: optional api.JobUpdateKey key
}

/** Adds to the history of an instance within a job update. */
struct SaveJobInstanceUpdateEvent {
  // Retired: 2 updateId.
  1: optional api.JobInstanceUpdateEvent event
  3: optional api.JobUpdateKey key
}

/** Once pruned old updates; no longer written, ignored. */
struct PruneJobUpdateHistory {
  /** Completed updates to keep of each job. */
  1: i32 perJobRetainCount
  /** Age limit in milliseconds. */
  2: i64 historyPruneThresholdMs
}

/** Deletes job updates. */
struct RemoveJobUpdates {
  1: optional set<api.JobUpdateKey> keys
}

/** Creates or replaces a maintenance request. */
struct SaveHostMaintenanceRequest {
  1: optional api.HostMaintenanceRequest hostMaintenanceRequest
}

/** Deletes a maintenance request. */
struct RemoveHostMaintenanceRequest {
  1: optional string host
}

/** One change of the state. */
union Op {
  // Never used: 3, 4. Retired: 11 rewriteTask.
  1: SaveFrameworkId saveFrameworkId
  2: SaveCronJob saveCronJob
  5: RemoveJob removeJob
  6: SaveTasks saveTasks
  7: RemoveTasks removeTasks
  8: SaveQuota saveQuota
  9: RemoveQuota removeQuota
  10: SaveHostAttributes saveHostAttributes
  12: SaveLock saveLock
  13: RemoveLock removeLock
  14: SaveJobUpdate saveJobUpdate
  15: SaveJobUpdateEvent saveJobUpdateEvent
  16: SaveJobInstanceUpdateEvent saveJobInstanceUpdateEvent
  17: PruneJobUpdateHistory pruneJobUpdateHistory
  18: RemoveJobUpdates removeJobUpdate
  19: SaveHostMaintenanceRequest saveHostMaintenanceRequest
  20: RemoveHostMaintenanceRequest removeHostMaintenanceRequest
}

// ---- Transactions ---------------------------------------------------------------------------

/** Lets a leader recognise a transaction that was sent before. */
struct Idempotency {
  /** Chosen by the client. */
  1: optional string key
  /** Digest of what was asked, so that one key is not used for two requests. */
  2: optional binary fingerprint
}

/** An idempotency key that was committed, and the answer it got. */
struct CommittedKey {
  1: optional string key
  2: optional binary fingerprint
  /** Transaction number. */
  3: i64 transaction
  /** Position of the entry that holds it. */
  4: i64 position
  /** Epoch of the leader that wrote it. */
  5: i64 epoch
}

/** A task without its configuration. */
struct DeduplicatedScheduledTask {
  /** The task, with assignedTask.task unset. */
  1: optional api.ScheduledTask partialScheduledTask
  /** Index into taskConfigs, from zero. */
  2: i32 taskConfigId
}

/** Tasks, with each configuration held once. */
struct DeduplicatedTasks {
  1: optional list<DeduplicatedScheduledTask> partialTasks
  2: optional list<api.TaskConfig> taskConfigs
}

/** Changes that take effect together or not at all. */
struct Transaction {
  /** In order. */
  1: optional list<Op> ops
  /** Schema of the writer; not checked. */
  2: i32 schemaVersion

  // From 100 on: fields that other readers of this format skip.
  /** Set when the client gave an idempotency key. */
  100: optional Idempotency idempotency
  /** Recent keys; only where a transaction stands for a part of a whole state. */
  101: optional list<CommittedKey> committedKeys
  /** Tasks to insert or replace after the ops; only where a transaction stands for a part of a whole state. */
  102: optional DeduplicatedTasks deduplicatedTasks
} (strict = "true")

// ---- Snapshots ------------------------------------------------------------------------------

struct StoredCronJob {
  // Retired: 1 manager id.
  3: optional api.JobConfiguration jobConfiguration
}

struct SchedulerMetadata {
  // Retired: 2 to 6 (build revision, tag, timestamp, user, machine), 7 (API version).
  /** Absent when the framework never registered. */
  1: optional string frameworkId
  /** Build properties of the writer. */
  8: optional map<string, string> details
}

struct QuotaConfiguration {
  1: optional string role
  2: optional api.ResourceAggregate quota
}

struct StoredJobUpdateDetails {
  // Retired: 2 lockToken.
  1: optional api.JobUpdateDetails details
}

/** The whole state; also the content of a backup file. */
struct Snapshot {
  // Never used: 2, 7. Retired: 9 locks, 11 dbScript, 12 experimentalTaskStore.
  /** When the snapshot was begun. */
  1: i64 timestamp
  3: optional set<api.HostAttributes> hostAttributes
  4: optional set<api.ScheduledTask> tasks
  5: optional set<StoredCronJob> cronJobs
  6: optional SchedulerMetadata schedulerMetadata
  8: optional set<QuotaConfiguration> quotaConfigurations
  10: optional set<StoredJobUpdateDetails> jobUpdateDetails
  13: optional set<api.HostMaintenanceRequest> hostMaintenanceRequests
}

/** The whole state, with each configuration held once. */
struct DeduplicatedSnapshot {
  /** The snapshot with tasks unset. */
  1: optional Snapshot partialSnapshot
  2: optional list<DeduplicatedScheduledTask> partialTasks
  3: optional list<api.TaskConfig> taskConfigs
}

// ---- Log entries ----------------------------------------------------------------------------

/** Opens a record that comes in pieces. */
struct FrameHeader {
  /** Chunks that follow. */
  1: i32 chunkCount
  /** MD5 of the whole record, 16 bytes. */
  2: optional binary checksum
}

/** One piece of a record. */
struct FrameChunk {
  // Never used: 1.
  2: optional binary data
}

/** Part of a record too large for one append. */
union Frame {
  1: FrameHeader header
  2: FrameChunk chunk
}

/** One record of a replicated log. */
union LogEntry {
  /** Supersedes everything before it. */
  1: Snapshot snapshot
  2: Transaction transaction
  /** A placeholder; the value means nothing. */
  3: bool noop
  4: Frame frame
  /** A LogEntry in zlib compression, never a frame. */
  5: binary deflatedEntry
  6: DeduplicatedSnapshot deduplicatedSnapshot
}
