package cost

import (
	"math"
	"time"

	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Saturated is a rate at which the log's writer sends entries as fast as it ever does
// while they are not full: more transactions a second cost no more PUTs until then.
const Saturated = 10_000

// Workload is what a cell is asked to do, all the time: one leader, those who follow it,
// and what is written. The zero value is an idle leader alone. How often requests are
// made comes from the packages that make them.
type Workload struct {
	// TransactionsPerSecond come at random times.
	TransactionsPerSecond float64
	// RecordBytes is the size of a transaction's record in the bucket; 1 KiB if zero.
	RecordBytes int
	// PutLatency is the median time of a PUT; 60 ms, as on S3, if zero.
	PutLatency time.Duration
	// Followers only follow. Standbys also watch the lease.
	Followers, Standbys int
	// StateBytes is the size of a snapshot or a backup in the bucket; 16 MiB if zero.
	StateBytes int64

	Lease     lease.Options
	Log       blob.Options
	Follow    blob.FollowOptions
	Snapshots snapshot.Schedule
	// Retention is what the leader keeps, and GarbageEvery the time between two of its
	// collections; 1 h if zero, negative is never.
	Retention    garbage.Retention
	GarbageEvery time.Duration
	// BackupEvery is the time between two backups, in the cell's own bucket; zero is
	// never. BackupsKept is how many of them are kept.
	BackupEvery time.Duration
	BackupsKept int
}

func (w Workload) withDefaults() Workload {
	if w.RecordBytes == 0 {
		w.RecordBytes = 1 << 10
	}
	if w.PutLatency == 0 {
		w.PutLatency = 60 * time.Millisecond
	}
	if w.StateBytes == 0 {
		w.StateBytes = 16 << 20
	}
	if w.GarbageEvery == 0 {
		w.GarbageEvery = time.Hour
	}
	return w
}

// Projection is a month of a workload.
type Projection struct {
	TransactionsPerSecond float64 `json:"transactionsPerSecond"`
	// EntriesPerSecond is the rate of the log's PUTs.
	EntriesPerSecond float64 `json:"entriesPerSecond"`
	// Causes are the requests of a month.
	Causes []Line `json:"causes"`
	// StoredBytes are those of the log and the snapshots that the retention keeps, and of
	// the backups.
	StoredBytes    float64 `json:"storedBytes"`
	StorageDollars float64 `json:"storageDollars"`
	// Dollars is the whole month's.
	Dollars float64 `json:"dollars"`
}

// Of is what a cause costs in the month, in dollars.
func (p Projection) Of(c Cause) float64 {
	if c == Storage {
		return p.StorageDollars
	}
	return of(p.Causes, c)
}

// Project says what a workload costs in a month.
func Project(p Prices, w Workload) Projection {
	w = w.withDefaults()
	all := byCause{}
	for c, r := range w.perSecond() {
		all.add(c, r.times(Month.Seconds()).whole())
	}
	m := Projection{TransactionsPerSecond: w.TransactionsPerSecond, EntriesPerSecond: math.Round(w.entriesPerSecond()*1000) / 1000,
		Causes: all.lines(p), StoredBytes: math.Round(w.storedBytes())}
	m.StorageDollars = rounded(p.StorageDollars(m.StoredBytes))
	m.Dollars = rounded(sum(m.Causes) + m.StorageDollars)
	return m
}

// perSecond is the rate of requests.
func (w Workload) perSecond() byCause {
	all := byCause{
		LogWrites:     {Writes: w.entriesPerSecond(), UploadedBytes: w.bytesPerSecond()},
		LeaseRenewals: {Writes: rate(w.Lease.RenewEvery())},
		LeaseWatching: {Reads: float64(w.Standbys) * rate(w.Lease.WatchEvery())},
		Snapshots:     w.snapshot().times(rate(w.snapshotEvery())),
		Backups:       w.backup().times(rate(w.backupEvery())),
		Other:         Requests{Lists: 1}.times(rate(w.backupEvery())), // of the pins, which keep backups
	}
	readers := float64(w.Followers + w.Standbys)
	for c, r := range w.collection() {
		all.add(c, r.times(rate(w.collectEvery())))
	}
	for c, r := range w.following() {
		all.add(c, r.times(readers))
	}
	return all
}

// following is the rate of one reader's requests.
func (w Workload) following() byCause {
	found, missed := w.entriesPerSecond(), w.Follow.MissesPerSecond(w.entriesPerSecond())
	checks := rate(w.Follow.CheckEvery())
	return byCause{
		Following:     {Reads: found + missed, RefusedReads: missed, RetrievedBytes: w.bytesPerSecond()},
		EndChecks:     {Lists: 2 * checks},
		LeaseWatching: {Reads: checks},
	}
}

// entriesPerSecond is the rate of the log's PUTs. An idle log sends at once; after each
// entry, a busy one keeps what comes until the next is due. So the time between two is a
// spacing, and if nothing came meanwhile, the time until something does.
func (w Workload) entriesPerSecond() float64 {
	if w.TransactionsPerSecond <= 0 {
		return 0
	}
	spacing, next := blob.Spacing(w.PutLatency).Seconds(), 1/w.TransactionsPerSecond
	between := spacing + next*math.Exp(-spacing/next)
	if w.Log.Linger > 0 {
		between = max(between, w.Log.Linger.Seconds()+next)
	}
	full := w.bytesPerSecond() / float64(w.Log.FullEntry()) // entries that do not wait
	entries := min(max(1/between, full), w.TransactionsPerSecond)
	if w.Log.MaxPutsPerSecond > 0 {
		entries = min(entries, w.Log.MaxPutsPerSecond)
	}
	return entries
}

func (w Workload) bytesPerSecond() float64 { return w.TransactionsPerSecond * float64(w.RecordBytes) }

func (w Workload) snapshotEvery() time.Duration {
	return w.Snapshots.Interval(w.entriesPerSecond(), w.bytesPerSecond())
}

// snapshot is what one snapshot takes: its parts and the manifest.
func (w Workload) snapshot() Requests {
	return Requests{Writes: w.stateObjects(), UploadedBytes: float64(w.StateBytes)}
}

// collectEvery is the time between two collections of garbage: without a new snapshot
// there is none.
func (w Workload) collectEvery() time.Duration {
	if w.GarbageEvery < 0 || w.snapshotEvery() <= 0 {
		return 0
	}
	return max(w.GarbageEvery, w.snapshotEvery())
}

// keptFor is how far back the oldest snapshot lies that is kept.
func (w Workload) keptFor() time.Duration {
	r := w.Retention.WithDefaults()
	return max(time.Duration(r.Keep)*w.snapshotEvery(), max(r.Window, r.Grace, 0)+w.snapshotEvery())
}

// keptSnapshots is how many are kept.
func (w Workload) keptSnapshots() float64 {
	if w.snapshotEvery() <= 0 {
		return 0
	}
	return math.Ceil(w.keptFor().Seconds() / w.snapshotEvery().Seconds())
}

// collection is what one collection of garbage takes: looking at all there is, the proof
// before it and those before the entries and the parts go, a look for new pins before
// each batch, the entries that may be seals, and what goes.
func (w Workload) collection() byCause {
	every := w.collectEvery().Seconds()
	snapshots := 0.0 // that have come since the last one, and as many that go
	if w.snapshotEvery() > 0 {
		snapshots = every / w.snapshotEvery().Seconds()
	}
	manifests := w.keptSnapshots() + snapshots
	entries := w.entriesPerSecond() * every
	small := 0.0
	if entries > 0 && w.bytesPerSecond()/w.entriesPerSecond() < blob.MaxSeal {
		small = entries
	}
	objects := w.entriesPerSecond() * (w.keptFor().Seconds() + every)
	whole := w.stateObjects()
	return byCause{
		EndChecks: {Lists: 2*math.Ceil(manifests*w.stateObjects()/listPage) + max(1, math.Ceil(objects/listPage))},
		Snapshots: {Reads: manifests + 2*whole + 2*(1+whole), Deletes: snapshots * w.stateObjects(), RetrievedBytes: 4 * float64(w.StateBytes)},
		Following: {Reads: 1 + small},
		Other:     {Lists: 4 + math.Ceil(entries/garbage.BatchSize), Deletes: entries},
	}
}

// backupEvery is the time between two backups: none is made of a state that has one.
func (w Workload) backupEvery() time.Duration {
	if w.BackupEvery <= 0 || w.TransactionsPerSecond <= 0 {
		return 0
	}
	return max(w.BackupEvery, time.Duration(float64(time.Second)/w.TransactionsPerSecond))
}

// backup is what one backup takes: writing it, looking through what there is, and
// removing the oldest.
func (w Workload) backup() Requests {
	there := float64(w.BackupsKept + 1)
	return Requests{Writes: w.stateObjects(), UploadedBytes: float64(w.StateBytes),
		Lists: math.Ceil(there * w.stateObjects() / listPage), Reads: there, Deletes: w.stateObjects()}
}

// listPage is how many objects one LIST shows.
const listPage = 1000

// stateObjects is the number of objects that a whole state takes.
func (w Workload) stateObjects() float64 {
	return max(1, math.Ceil(float64(w.StateBytes)/snapshot.PartBytes)) + 1
}

func (w Workload) storedBytes() float64 {
	bytes := w.bytesPerSecond() * w.keptFor().Seconds()
	if w.snapshotEvery() > 0 {
		bytes += float64(w.StateBytes) * w.keptSnapshots()
	}
	if w.backupEvery() > 0 {
		bytes += float64(w.StateBytes) * float64(w.BackupsKept)
	}
	return bytes
}

// rate is how often in a second something happens that is done every so often; 0 is
// never.
func rate(every time.Duration) float64 {
	if every <= 0 {
		return 0
	}
	return 1 / every.Seconds()
}
