package server

import (
	"iter"
	"net/http"
	"slices"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

func (s *server) getCronJobs(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r, append([]string{"role", "environment", "job"}, listing...)...)
	if err != nil {
		return err
	}
	all := q.CronJobs()
	if !q.given("role", "environment", "job") {
		return list(q, "cronJobs", all.All(), all.Len())
	}
	role, environment := q.one("role"), q.one("environment")
	name, keys := q.jobs()
	jobs := filter(all.All(), func(job *api.JobConfiguration) bool {
		return matches(role, job.Key.Role) && matches(environment, job.Key.Environment) && matches(name, job.Key.Name) &&
			(len(keys) == 0 || slices.ContainsFunc(keys, job.Key.Equal))
	})
	return list(q, "cronJobs", jobs, uncounted)
}

// matches tells whether a filter that is given once admits a value.
func matches(filter, value api.Optional[string]) bool { return !filter.Set || filter == value }

func (s *server) getCronJob(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r)
	if err != nil {
		return err
	}
	key := pathJob(r)
	job, ok := q.CronJobs().Fetch(key)
	return q.answer(job, ok, "cron job", schema.JobKeyString(key))
}

func pathJob(r *http.Request) *api.JobKey {
	return schema.NewJobKey(r.PathValue("role"), r.PathValue("environment"), r.PathValue("name"))
}

func (s *server) getQuotas(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r, append([]string{"role"}, listing...)...)
	if err != nil {
		return err
	}
	all := func(yield func(*api.QuotaConfiguration) bool) {
		for role, quota := range q.Quotas().All() {
			if !yield(&api.QuotaConfiguration{Role: api.Some(role), Quota: quota}) {
				return
			}
		}
	}
	return listByName(q, "quotas", all, q.Quotas().Len(), "role", func(c *api.QuotaConfiguration) api.Optional[string] { return c.Role })
}

// listByName lists a store whose one filter is that of its key.
func listByName[T any](q *read, name string, all iter.Seq[T], total int, parameter string, key func(T) api.Optional[string]) error {
	if wanted := q.many(parameter); len(wanted) > 0 {
		all, total = filter(all, func(item T) bool { return isOneOf(key(item), wanted) }), uncounted
	}
	return list(q, name, all, total)
}

func (s *server) getQuota(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r)
	if err != nil {
		return err
	}
	role := r.PathValue("role")
	quota, ok := q.Quotas().Fetch(role)
	return q.answer(&api.QuotaConfiguration{Role: api.Some(role), Quota: quota}, ok, "quota of role", role)
}

func (s *server) getHosts(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r, append([]string{"host"}, listing...)...)
	if err != nil {
		return err
	}
	return listByName(q, "hosts", q.Hosts().All(), q.Hosts().Len(), "host", func(h *api.HostAttributes) api.Optional[string] { return h.Host })
}

func (s *server) getHost(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r)
	if err != nil {
		return err
	}
	host := r.PathValue("host")
	attributes, ok := q.Hosts().Fetch(host)
	return q.answer(attributes, ok, "host", host)
}

func (s *server) getMaintenance(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r, append([]string{"host"}, listing...)...)
	if err != nil {
		return err
	}
	all := q.Maintenance()
	return listByName(q, "maintenance", all.All(), all.Len(), "host", func(m *api.HostMaintenanceRequest) api.Optional[string] { return m.Host })
}

func (s *server) getMaintenanceRequest(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r)
	if err != nil {
		return err
	}
	host := r.PathValue("host")
	request, ok := q.Maintenance().Fetch(host)
	return q.answer(request, ok, "maintenance request for host", host)
}

func (s *server) getFrameworkID(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r)
	if err != nil {
		return err
	}
	var answer struct {
		FrameworkID api.Optional[string] `json:"frameworkId"`
	}
	if id, ok := q.FrameworkID(); ok {
		answer.FrameworkID = api.Some(id)
	}
	return q.answer(&answer, true, "framework id", "")
}
