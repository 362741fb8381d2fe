// What the scheduler's clients and its stores speak of: jobs, tasks, hosts, quotas and updates.
//
// Rules that hold in all files of the schema:
//
//  * bool, i32, i64 and double without a keyword are always written, and zero when absent. With
//    "optional" they are written only when set.
//  * Everything else is written only when set, so it is declared optional throughout: absent and
//    empty are two values. The generator refuses a field that says otherwise.
//  * A union has exactly one field set.
//  * A field annotated as legacy stays unset in the canonical form, where others become zero.
//  * A struct annotated as strict comes from clients too, and can be read so that an enum number that
//    the schema does not know is an error. Elsewhere such a number leaves its field unset.
//  * An id once used is never used again. The retired ones are named where they were; records that
//    hold them may still be met, and readers skip them.
//  * Times ending in Ms, and all called timestamp, are milliseconds since the Unix epoch.

/** Version of the schema that writers put into each transaction. */
const i32 CURRENT_SCHEMA_VERSION = 1

// ---- Identity -------------------------------------------------------------------------------

/** Identity of a job. */
struct JobKey {
  /** Account that owns the job. */
  1: optional string role
  /** Stage, for example prod. */
  2: optional string environment
  /** Name of the job within role and environment. */
  3: optional string name
}

/** Identity of one instance of a job. */
struct InstanceKey {
  1: optional JobKey jobKey
  2: i32 instanceId
}

/** The submitter of a job; deprecated, the role stands in for it. */
struct Identity {
  2: optional string user
}

/** A free pair of key and value. */
struct Metadata {
  1: optional string key
  2: optional string value
}

// ---- Resources ------------------------------------------------------------------------------

/** An amount of one kind of resource. */
union Resource {
  /** CPU cores. */
  1: double numCpus
  /** Memory in MiB. */
  2: i64 ramMb
  /** Disk in MiB. */
  3: i64 diskMb
  /** Name of a port to allot. */
  4: string namedPort
  /** GPUs. */
  5: i64 numGpus
}

/** Amounts of several kinds, as a quota holds them. */
struct ResourceAggregate {
  // 1 to 3 are read from old quotas and never written: as fields without keyword they would put
  // zeros into each quota. So would the canonical form, but for the annotation.
  /** CPU cores; old records only. */
  1: optional double numCpus (legacy = "true")
  /** Memory in MiB; old records only. */
  2: optional i64 ramMb (legacy = "true")
  /** Disk in MiB; old records only. */
  3: optional i64 diskMb (legacy = "true")
  /** The amounts. */
  4: optional set<Resource> resources
}

// ---- Constraints on placement ---------------------------------------------------------------

/** Restricts tasks by the values of a host attribute. */
struct ValueConstraint {
  /** Whether the match is inverted. */
  1: bool negated
  /** Values that match. */
  2: optional set<string> values
}

/** Restricts how many tasks of a job share one value of a host attribute. */
struct LimitConstraint {
  1: i32 limit
}

/** The rule of a constraint. */
union TaskConstraint {
  1: ValueConstraint value
  2: LimitConstraint limit
}

/** A rule about the hosts a task may run on. */
struct Constraint {
  /** Name of the host attribute that the rule looks at. */
  1: optional string name
  2: optional TaskConstraint constraint
}

// ---- Containers -----------------------------------------------------------------------------

/** Access of a task to a volume. */
enum Mode {
  RW = 1
  RO = 2
}

/** A directory of the host that the container sees. */
struct Volume {
  /** Mount point inside the container. */
  1: optional string containerPath
  /** Source on the host. */
  2: optional string hostPath
  3: optional Mode mode
}

/** An image of the Docker format. */
struct DockerImage {
  1: optional string name
  2: optional string tag
}

/** An image of the AppC format. */
struct AppcImage {
  1: optional string name
  2: optional string imageId
}

/** A file system image. */
union Image {
  1: DockerImage docker
  2: AppcImage appc
}

/** A container that Mesos runs itself. */
struct MesosContainer {
  1: optional Image image
  2: optional list<Volume> volumes
}

/** A further parameter for the Docker command line. */
struct DockerParameter {
  1: optional string name
  2: optional string value
}

/** A container that Docker runs. */
struct DockerContainer {
  /** Reference of the image. */
  1: optional string image
  2: optional list<DockerParameter> parameters
}

/** What a task runs in. */
union Container {
  1: MesosContainer mesos
  2: DockerContainer docker
}

// ---- Policies -------------------------------------------------------------------------------

/** What to do about a task whose agent is partitioned away. */
struct PartitionPolicy {
  /** Whether the task is replaced. */
  1: bool reschedule
  /** How long to wait before that, in seconds. */
  2: optional i64 delaySecs
}

/** Promises that a share of the active instances runs. */
struct PercentageSlaPolicy {
  /** Percent of the active instances. */
  1: double percentage
  /** How long a task must have run to count, in seconds. */
  2: i64 durationSecs
}

/** Promises that a number of instances runs. */
struct CountSlaPolicy {
  1: i64 count
  /** How long a task must have run to count, in seconds. */
  2: i64 durationSecs
}

/** Leaves the verdict to a service. */
struct CoordinatorSlaPolicy {
  /** The service to ask. */
  1: optional string coordinatorUrl
  /** JSON key of its verdict. Early records hold an i64 here, which is skipped. */
  2: optional string statusKey
}

/** Availability that maintenance must leave to a job. */
union SlaPolicy {
  1: PercentageSlaPolicy percentageSlaPolicy
  2: CountSlaPolicy countSlaPolicy
  3: CoordinatorSlaPolicy coordinatorSlaPolicy
}

// ---- Jobs and tasks -------------------------------------------------------------------------

/** The executor of a task and what it is given. */
struct ExecutorConfig {
  1: optional string name
  /** Opaque to the scheduler. */
  2: optional string data
}

/** A file to fetch before a task starts. */
struct MesosFetcherURI {
  /** Where it comes from. */
  1: optional string value
  /** Whether to unpack it. */
  2: optional bool extract
  /** Whether to use the agent's cache. */
  3: optional bool cache
  /** Name it gets on the agent. */
  4: optional string outputFile
}

/** What an instance of a job runs, and how. */
struct TaskConfig {
  // Retired: 1 role, 3 environment, 26 job name (strings); 8 numCpus, 9 ramMb, 10 diskMb,
  // 21 requestedPorts, 31 image.
  /** Whether the task is started again whenever it ends. */
  7: bool isService
  /** Priority among the tasks of a role. */
  11: i32 priority
  /** Failures to put up with; -1 is any number. */
  13: i32 maxTaskFailures
  /** Deprecated. */
  17: optional Identity owner
  /** Whether the task may preempt others; deprecated, the tier says it. */
  18: optional bool production
  20: optional set<Constraint> constraints
  /** Label to URL, for display. */
  22: optional map<string, string> taskLinks
  23: optional string contactEmail
  25: optional ExecutorConfig executorConfig
  27: optional set<Metadata> metadata
  /** Job that the task belongs to. */
  28: optional JobKey job
  29: optional Container container = {"mesos": {}}
  /** Name of the tier. */
  30: optional string tier
  /** Resources of each instance. */
  32: optional set<Resource> resources
  33: optional set<MesosFetcherURI> mesosFetcherUris
  34: optional PartitionPolicy partitionPolicy
  35: optional SlaPolicy slaPolicy
}

/** What happens when a cron job is due while its last run still goes. */
enum CronCollisionPolicy {
  KILL_EXISTING = 0
  CANCEL_NEW = 1
  /** Deprecated, acts as CANCEL_NEW. */
  RUN_OVERLAP = 2
}

/** A job: a template and how many instances of it. */
struct JobConfiguration {
  /** Crontab expression of a cron job. */
  4: optional string cronSchedule
  5: optional CronCollisionPolicy cronCollisionPolicy
  /** Template of each instance. */
  6: optional TaskConfig taskConfig
  /** Deprecated. */
  7: optional Identity owner
  /** Number of instances; their ids are 0 to one less. */
  8: i32 instanceCount
  9: optional JobKey key
}

/** State of a task. */
enum ScheduleStatus {
  INIT = 11
  THROTTLED = 16
  PENDING = 0
  ASSIGNED = 9
  STARTING = 1
  RUNNING = 2
  FINISHED = 3
  PREEMPTING = 13
  RESTARTING = 12
  DRAINING = 17
  FAILED = 4
  KILLED = 5
  KILLING = 6
  LOST = 7
  PARTITIONED = 18
}

/** A step in the life of a task. */
struct TaskEvent {
  1: i64 timestamp
  /** State that the task entered. */
  2: optional ScheduleStatus status
  /** Why. */
  3: optional string message
  /** Host name of the scheduler that acted. */
  4: optional string scheduler
}

/** Identity, configuration and placement of a task. */
struct AssignedTask {
  /** Unique; the key of the task store. */
  1: optional string taskId
  /** Agent; absent while the task is not assigned. */
  2: optional string slaveId
  /** Host of the agent; absent while the task is not assigned. */
  3: optional string slaveHost
  /** What to run. */
  4: optional TaskConfig task
  /** Name of a port to its number. */
  5: optional map<string, i32> assignedPorts
  /** Index within the job. */
  6: i32 instanceId
}

/** A task and what became of it. */
struct ScheduledTask {
  1: optional AssignedTask assignedTask
  2: optional ScheduleStatus status
  /** Failures over all generations. */
  3: i32 failureCount
  /** History, oldest first. */
  4: optional list<TaskEvent> taskEvents
  /** Id of the task that this one replaces. */
  5: optional string ancestorId
  /** Partitions seen so far. */
  6: i32 timesPartitioned
}

// ---- Hosts ----------------------------------------------------------------------------------

/** Whether a host is being taken out of service. */
enum MaintenanceMode {
  NONE = 1
  SCHEDULED = 2
  DRAINING = 3
  DRAINED = 4
}

/** A named property of a host, with its values. */
struct Attribute {
  1: optional string name
  2: optional set<string> values
}

/** What is known of a host. */
struct HostAttributes {
  /** Host name; the key of the attribute store. */
  1: optional string host
  2: optional set<Attribute> attributes
  3: optional MaintenanceMode mode
  /** Agent on the host. */
  4: optional string slaveId
}

/** A wish to drain a host. */
struct HostMaintenanceRequest {
  /** Host name; the key of the maintenance store. */
  1: optional string host
  /** Policy for tasks that bring none. */
  2: optional SlaPolicy defaultSlaPolicy
  /** Seconds after which the host is drained in any case. */
  3: i64 timeoutSecs
  4: i64 createdTimestampMs
}

/** What a lock guards; deprecated. */
union LockKey {
  1: JobKey job
}

/** A lock on a job; deprecated, read and ignored. */
struct Lock {
  1: optional LockKey key
  2: optional string token
  3: optional string user
  4: i64 timestampMs
  5: optional string message
}

// ---- Job updates ----------------------------------------------------------------------------

/** State of a job update. */
enum JobUpdateStatus {
  ROLLING_FORWARD = 0
  ROLLING_BACK = 1
  ROLL_FORWARD_PAUSED = 2
  ROLL_BACK_PAUSED = 3
  ROLLED_FORWARD = 4
  ROLLED_BACK = 5
  ABORTED = 6
  ERROR = 7
  FAILED = 8
  ROLL_FORWARD_AWAITING_PULSE = 9
  ROLL_BACK_AWAITING_PULSE = 10
}

/** What an update did to an instance. */
enum JobUpdateAction {
  INSTANCE_UPDATED = 1
  INSTANCE_ROLLED_BACK = 2
  INSTANCE_UPDATING = 3
  INSTANCE_ROLLING_BACK = 4
  INSTANCE_UPDATE_FAILED = 5
  INSTANCE_ROLLBACK_FAILED = 6
}

/** Identity of a job update. */
struct JobUpdateKey {
  1: optional JobKey job
  /** Unique within the job. */
  2: optional string id
}

/** A run of numbers, both ends included. */
struct Range {
  1: i32 first
  2: i32 last
}

/** A configuration and the instances that use it. */
struct InstanceTaskConfig {
  1: optional TaskConfig task
  2: optional set<Range> instances
}

/** Updates a fixed number of instances at any time. */
struct QueueJobUpdateStrategy {
  1: i32 groupSize
}

/** Updates batches of one size, one after the other. */
struct BatchJobUpdateStrategy {
  1: i32 groupSize
  /** Whether to pause after each batch. */
  2: bool autopauseAfterBatch
}

/** Updates batches of given sizes, one after the other. */
struct VariableBatchJobUpdateStrategy {
  1: optional list<i32> groupSizes
  /** Whether to pause after each batch. */
  2: bool autopauseAfterBatch
}

/** How an update proceeds through the instances. */
union JobUpdateStrategy {
  1: QueueJobUpdateStrategy queueStrategy
  2: BatchJobUpdateStrategy batchStrategy
  3: VariableBatchJobUpdateStrategy varBatchStrategy
}

/** How an update goes about its work. */
struct JobUpdateSettings {
  // Retired: 4 maxWaitToInstanceRunningMs (i32).
  /** Instances updated at one time; deprecated by updateStrategy. */
  1: i32 updateGroupSize
  /** Failures after which an instance counts as failed. */
  2: i32 maxPerInstanceFailures
  /** Failed instances after which the update ends. */
  3: i32 maxFailedInstances
  /** How long an instance is watched, in milliseconds. */
  5: i32 minWaitInInstanceRunningMs
  6: bool rollbackOnFailure
  /** Instances to update; empty means all. */
  7: optional set<Range> updateOnlyTheseInstances
  /** Whether a batch must end before the next; deprecated by updateStrategy. */
  8: bool waitForBatchCompletion
  /** Longest wait for a pulse, in milliseconds. */
  9: optional i32 blockIfNoPulsesAfterMs
  /** Whether the SLA policies of the tasks are obeyed. */
  10: optional bool slaAware
  11: optional JobUpdateStrategy updateStrategy
}

/** Progress of an update, derived by the store from its events. */
struct JobUpdateState {
  1: optional JobUpdateStatus status
  2: i64 createdTimestampMs
  3: i64 lastModifiedTimestampMs
}

/** What a list of updates shows of each. */
struct JobUpdateSummary {
  // Retired: 1 updateId, 2 jobKey.
  /** Who began it. */
  3: optional string user
  4: optional JobUpdateState state
  5: optional JobUpdateKey key
  /** From the client. */
  6: optional set<Metadata> metadata
}

/** What an update is to do. */
struct JobUpdateInstructions {
  // Earlier layouts had other types in 1 to 4.
  /** Configurations in place when it began. */
  1: optional set<InstanceTaskConfig> initialState
  /** The goal; absent when the update only removes. */
  2: optional InstanceTaskConfig desiredState
  3: optional JobUpdateSettings settings
}

/** Definition of an update. */
struct JobUpdate {
  1: optional JobUpdateSummary summary
  2: optional JobUpdateInstructions instructions
}

/** A step in the life of an update. */
struct JobUpdateEvent {
  1: optional JobUpdateStatus status
  2: i64 timestampMs
  3: optional string user
  4: optional string message
}

/** A step of an update on one instance. */
struct JobInstanceUpdateEvent {
  1: i32 instanceId
  2: i64 timestampMs
  3: optional JobUpdateAction action
  4: optional string message
}

/** An update and its history. */
struct JobUpdateDetails {
  1: optional JobUpdate update
  /** Oldest first. */
  2: optional list<JobUpdateEvent> updateEvents
  /** Oldest first. */
  3: optional list<JobInstanceUpdateEvent> instanceEvents
}
