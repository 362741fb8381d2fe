package storage_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// model is what the stores must hold, in plain maps of values that nobody changes.
type model struct {
	framework   string
	tasks       map[string]*api.ScheduledTask
	crons       map[string]*api.JobConfiguration
	quotas      map[string]*api.ResourceAggregate
	hosts       map[string]*api.HostAttributes
	maintenance map[string]*api.HostMaintenanceRequest
	updates     map[string]*modelUpdate
}

type modelUpdate struct {
	update         *api.JobUpdate
	events         []*api.JobUpdateEvent
	instanceEvents []*api.JobInstanceUpdateEvent
}

func newModel() model {
	return model{"", map[string]*api.ScheduledTask{}, map[string]*api.JobConfiguration{}, map[string]*api.ResourceAggregate{},
		map[string]*api.HostAttributes{}, map[string]*api.HostMaintenanceRequest{}, map[string]*modelUpdate{}}
}

func (m model) clone() model {
	return model{m.framework, maps.Clone(m.tasks), maps.Clone(m.crons), maps.Clone(m.quotas),
		maps.Clone(m.hosts), maps.Clone(m.maintenance), maps.Clone(m.updates)}
}

func (m model) sortedTasks() []*api.ScheduledTask {
	var all []*api.ScheduledTask
	for _, id := range slices.Sorted(maps.Keys(m.tasks)) {
		all = append(all, m.tasks[id])
	}
	return all
}

// matches is the meaning of a task query, spelled out.
func matches(q *api.TaskQuery, t *api.ScheduledTask) bool {
	job := &api.JobKey{}
	if c := t.AssignedTask.Task; c != nil && c.Job != nil {
		job = c.Job
	}
	a := t.AssignedTask
	return (strings.TrimSpace(q.Role.Get()) == "" || job.Role == q.Role) &&
		(!q.Environment.Set || job.Environment == q.Environment) &&
		(!q.JobName.Set || job.Name == q.JobName) &&
		(len(q.JobKeys) == 0 || slices.ContainsFunc(q.JobKeys, job.Equal)) &&
		(len(q.TaskIDs) == 0 || slices.Contains(q.TaskIDs, idOf(t))) &&
		(len(q.Statuses) == 0 || t.Status.Set && slices.Contains(q.Statuses, t.Status.Value)) &&
		(len(q.SlaveHosts) == 0 || a.SlaveHost.Set && slices.Contains(q.SlaveHosts, a.SlaveHost.Value)) &&
		(len(q.InstanceIDs) == 0 || slices.Contains(q.InstanceIDs, a.InstanceID))
}

// draws are the values the test plays with: few, so that they meet.
type draws struct{ *rapid.T }

func (d draws) oneOf(values ...string) string { return rapid.SampledFrom(values).Draw(d.T, "value") }
func (d draws) chance(percent int) bool       { return rapid.IntRange(0, 99).Draw(d.T, "chance") < percent }
func (d draws) id() string                    { return rapid.StringMatching(`[a-d][a-h][a-h]`).Draw(d.T, "id") }
func (d draws) job() string {
	return d.oneOf("r", "s") + "/" + d.oneOf("e", "f") + "/" + d.oneOf("j", "k", "l")
}
func (d draws) host() string     { return d.oneOf("g", "h", "i", "") }
func (d draws) number(n int) int { return rapid.IntRange(0, n-1).Draw(d.T, "number") }

func (d draws) status() api.ScheduleStatus {
	return rapid.SampledFrom([]api.ScheduleStatus{api.ScheduleStatusPENDING, api.ScheduleStatusRUNNING, api.ScheduleStatusLOST}).Draw(d.T, "status")
}

func (d draws) task() *api.ScheduledTask {
	return task(d.id(), d.job(), runs(d.oneOf("run", "walk")), func(t *api.ScheduledTask) {
		t.Status = api.Some(d.status())
		t.AssignedTask.InstanceID = int32(d.number(3))
		if d.chance(60) {
			t.AssignedTask.SlaveHost = api.Some(d.host())
		}
		switch d.number(20) {
		case 0:
			t.AssignedTask.Task = nil
		case 1:
			t.AssignedTask.Task.Job = nil
		case 2:
			t.Status = api.Optional[api.ScheduleStatus]{}
		}
	})
}

func some[T any](d draws, draw func() T) []T {
	var all []T
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2, 4}).Draw(d.T, "size") {
		all = append(all, draw())
	}
	return all
}

func (d draws) query() *api.TaskQuery {
	q := &api.TaskQuery{
		TaskIDs: some(d, d.id), Statuses: some(d, d.status), SlaveHosts: some(d, d.host),
		InstanceIDs: some(d, func() int32 { return int32(d.number(3)) }),
		JobKeys:     some(d, func() *api.JobKey { return key(d.job()) }),
	}
	if d.chance(30) {
		q.Role = api.Some(d.oneOf("r", "s", "", " "))
	}
	if d.chance(30) {
		q.Environment = api.Some(d.oneOf("e", "f", ""))
	}
	if d.chance(30) {
		q.JobName = api.Some(d.oneOf("j", "k", ""))
	}
	if d.chance(60) { // one condition alone, to get at every index
		only := *q
		*q = api.TaskQuery{}
		switch d.number(5) {
		case 0:
			q.Statuses = only.Statuses
		case 1:
			q.SlaveHosts = only.SlaveHosts
		case 2:
			q.JobKeys = only.JobKeys
		case 3:
			q.TaskIDs = only.TaskIDs
		}
	}
	return q
}

func (m model) check(t *rapid.T, v storage.View, n storage.Counts) {
	d := draws{t}
	want := m.sortedTasks()
	got := slices.Collect(v.Tasks().All())
	if !slices.EqualFunc(got, want, (*api.ScheduledTask).Equal) {
		t.Fatalf("tasks %v, want %v", got, want)
	}
	configs := map[string]*api.TaskConfig{}
	jobs := map[string]bool{}
	wantN := storage.Counts{Tasks: len(want), CronJobs: len(m.crons), Quotas: len(m.quotas), Hosts: len(m.hosts),
		JobUpdates: len(m.updates), Maintenance: len(m.maintenance)}
	for _, x := range got {
		if one, ok := v.Tasks().Fetch(idOf(x)); !ok || one != x {
			t.Fatalf("fetched %v, want %v", one, x)
		}
		if c := x.AssignedTask.Task; c != nil {
			encoded := string(c.AppendCanonical(nil))
			if shared, ok := configs[encoded]; ok && shared != c {
				t.Fatalf("%s has a configuration of its own", idOf(x))
			}
			configs[encoded] = c
			if c.Job != nil {
				wantN.TaskJobs++
				jobs[schema.JobKeyString(c.Job)] = true
			}
		}
		if x.AssignedTask.SlaveHost.Set {
			wantN.TaskHosts++
		}
		if x.Status.Set {
			wantN.TaskStatuses++
		}
	}
	wantN.TaskConfigs = len(configs)
	if n != wantN {
		t.Fatalf("counts %+v, want %+v", n, wantN)
	}
	if names := jobNames(v.Tasks().JobKeys()); !slices.Equal(names, slices.Sorted(maps.Keys(jobs))) {
		t.Fatalf("jobs %v, want %v", names, jobs)
	}
	for range 3 {
		m.checkQuery(t, v, d.query())
	}
	m.checkOthers(t, v)
}

func (m model) checkQuery(t *rapid.T, v storage.View, q *api.TaskQuery) {
	var want []*api.ScheduledTask
	for _, x := range m.sortedTasks() {
		if matches(q, x) {
			want = append(want, x)
		}
	}
	found, err := v.Tasks().Query(q)
	if err != nil {
		return // by job, with keys that are not valid: a test of its own
	}
	got := slices.Collect(found)
	if !slices.EqualFunc(got, want, (*api.ScheduledTask).Equal) {
		t.Fatalf("query %+v found %v, want %v", q, got, want)
	}
}

func (m model) checkOthers(t *rapid.T, v storage.View) {
	if id, ok := v.FrameworkID(); id != m.framework || ok != (id != "") {
		t.Fatalf("framework id %q, want %q", id, m.framework)
	}
	for name, want := range m.crons {
		if got, ok := v.CronJobs().Fetch(key(name)); !ok || !got.Equal(want) {
			t.Fatalf("cron job %s: %v", name, got)
		}
	}
	for role, got := range v.Quotas().All() {
		if !got.Equal(m.quotas[role]) {
			t.Fatalf("quota %s: %v", role, got)
		}
	}
	for got := range v.Hosts().All() {
		if !got.Equal(m.hosts[got.Host.Get()]) {
			t.Fatalf("host %v", got)
		}
	}
	for got := range v.Maintenance().All() {
		if !got.Equal(m.maintenance[got.Host.Get()]) {
			t.Fatalf("maintenance %v", got)
		}
	}
	for got := range v.JobUpdates().All() {
		want := m.updates[keyNames([]*api.JobUpdateKey{got.Update.Summary.Key})[0]]
		if want == nil || !slices.Equal(got.UpdateEvents, want.events) || !slices.Equal(got.InstanceEvents, want.instanceEvents) ||
			!got.Update.Instructions.Equal(want.update.Instructions) {
			t.Fatalf("update %v, want %v", got, want)
		}
	}
}

// machine drives one line of versions: a state, at most one transaction on it with its
// savepoints, and the states kept from before.
type machine struct {
	state     *storage.State
	committed model
	tx        *storage.Tx
	now       model
	saved     []savedPoint
	kept      []keptState
}

type savedPoint struct {
	at    storage.Savepoint
	model model
}

type keptState struct {
	state *storage.State
	model model
}

func (m *machine) begin() { m.tx, m.now, m.saved = m.state.Begin(), m.committed.clone(), nil }

// step does one random thing to the transaction and to the model.
func (m *machine) step(t *rapid.T) {
	d := draws{t}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	switch d.number(20) {
	case 0:
		m.saved = append(m.saved, savedPoint{m.tx.Savepoint(), m.now.clone()})
	case 1:
		if len(m.saved) > 0 {
			i := d.number(len(m.saved))
			m.tx.Rollback(m.saved[i].at)
			m.now = m.saved[i].model.clone()
		}
	case 2:
		m.state, m.committed = m.tx.Commit(), m.now.clone()
		m.kept = append(m.kept, keptState{m.state, m.committed})
		if d.chance(70) {
			m.begin()
		}
	case 3:
		if d.chance(30) && len(m.kept) > 0 { // branch off an old state
			k := m.kept[d.number(len(m.kept))]
			m.state, m.committed = k.state, k.model
		}
		m.begin() // drops the transaction
	case 4, 5, 6:
		tasks := some(d, d.task)
		seen, collision := map[string]*api.ScheduledTask{}, false
		for _, x := range tasks {
			if y, ok := seen[idOf(x)]; ok && !x.Equal(y) {
				collision = true
			}
			seen[idOf(x)] = x
		}
		if err := m.tx.Tasks().Save(tasks...); (err != nil) != collision {
			t.Fatalf("saving %v: %v", tasks, err)
		}
		if !collision {
			maps.Copy(m.now.tasks, seen)
		}
	case 7, 8:
		dead := some(d, d.id)
		must(m.tx.Tasks().Delete(dead...))
		for _, id := range dead {
			delete(m.now.tasks, id)
		}
	case 9, 10:
		next := d.task()
		_, err := m.tx.Tasks().Mutate(idOf(next), func(x *api.ScheduledTask) error { *x = *next.Clone(); return nil })
		if _, known := m.now.tasks[idOf(next)]; known {
			must(err)
			m.now.tasks[idOf(next)] = next
		} else if err == nil {
			t.Fatalf("%s was mutated, but is unknown", idOf(next))
		}
	case 11:
		if d.chance(30) {
			m.tx.DeleteAll()
			m.now = newModel()
		} else if d.chance(30) {
			m.tx.DeleteAllTasks()
			clear(m.now.tasks)
		}
	default:
		m.others(d, must)
	}
}

func (m *machine) others(d draws, must func(error)) {
	name := d.oneOf("a", "b", "c")
	switch d.number(9) {
	case 0:
		m.now.framework = d.oneOf("one", "two")
		must(m.tx.SaveFrameworkID(m.now.framework))
	case 1:
		job := d.job()
		m.now.crons[job] = cron(job, name)
		must(m.tx.CronJobs().Save(m.now.crons[job]))
	case 2:
		job := d.job()
		delete(m.now.crons, job)
		must(m.tx.CronJobs().Remove(key(job)))
	case 3:
		m.now.quotas[name] = quota(float64(d.number(3)))
		must(m.tx.Quotas().Save(name, m.now.quotas[name]))
	case 4:
		delete(m.now.quotas, name)
		must(m.tx.Quotas().Remove(name))
	case 5:
		old, next := m.now.hosts[name], host(name, api.MaintenanceModeNONE, d.oneOf("s", "t"))
		changed, err := m.tx.Hosts().Save(next)
		must(err)
		if changed != !next.Equal(old) {
			d.Fatalf("host %s: changed %v", name, changed)
		}
		m.now.hosts[name] = next
	case 6:
		if d.chance(50) {
			m.now.maintenance[name] = request(name, int64(d.number(3)))
			must(m.tx.Maintenance().Save(m.now.maintenance[name]))
		} else {
			delete(m.now.maintenance, name)
			must(m.tx.Maintenance().Remove(name))
		}
	default:
		m.jobUpdate(d, must)
	}
}

func (m *machine) jobUpdate(d draws, must func(error)) {
	k := updateKey(d.job(), d.oneOf("a", "b"))
	name := keyNames([]*api.JobUpdateKey{k})[0]
	old := m.now.updates[name]
	switch {
	case old == nil:
		m.now.updates[name] = &modelUpdate{update: update(k)}
		must(m.tx.JobUpdates().Save(m.now.updates[name].update))
	case d.chance(20):
		delete(m.now.updates, name)
		must(m.tx.JobUpdates().Remove(k))
	case d.chance(50):
		e := event(api.JobUpdateStatusABORTED, int64(d.number(5)))
		next := *old
		next.events = append(slices.Clone(old.events), e)
		slices.SortStableFunc(next.events, func(a, b *api.JobUpdateEvent) int { return int(a.TimestampMs - b.TimestampMs) })
		m.now.updates[name] = &next
		must(m.tx.JobUpdates().SaveEvent(k, e))
	default:
		e := instanceEvent("x", int64(d.number(5)))
		next := *old
		next.instanceEvents = append(slices.Clone(old.instanceEvents), e)
		slices.SortStableFunc(next.instanceEvents, func(a, b *api.JobInstanceUpdateEvent) int { return int(a.TimestampMs - b.TimestampMs) })
		m.now.updates[name] = &next
		must(m.tx.JobUpdates().SaveInstanceEvent(k, e))
	}
}

func TestStoresAgainstMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{state: storage.NewState(storage.Options{}), committed: newModel()}
		m.tx = m.state.Begin()
		for i := range 256 { // so that the trees are more than one node
			id := string([]byte{'a' + byte(i/64), 'a' + byte(i/8%8), 'a' + byte(i%8)})
			m.committed.tasks[id] = task(id, "r/e/"+[]string{"j", "k", "l"}[i%3], on([]string{"g", "h"}[i%2]))
			if err := m.tx.Tasks().Save(m.committed.tasks[id]); err != nil {
				t.Fatal(err)
			}
		}
		m.state = m.tx.Commit()
		m.kept = append(m.kept, keptState{m.state, m.committed.clone()})
		m.begin()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			m.step(t)
			if (draws{t}).chance(20) {
				m.now.check(t, storage.ReadOnly(m.tx), m.tx.Counts())
			}
		}
		m.now.check(t, storage.ReadOnly(m.tx), m.tx.Counts())
		for _, k := range m.kept {
			k.model.check(t, k.state, k.state.Counts())
		}
	})
}
