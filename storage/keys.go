package storage

import (
	"cmp"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// compareStrings puts unset before set: the two are different values.
func compareStrings(a, b *api.Optional[string]) int {
	switch {
	case a.Set && b.Set:
		return cmp.Compare(a.Value, b.Value)
	case a.Set:
		return 1
	case b.Set:
		return -1
	}
	return 0
}

// compareJobKeys orders by role, environment and name; nil comes first.
func compareJobKeys(a, b *api.JobKey) int {
	switch {
	case a == b:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	if c := compareStrings(&a.Role, &b.Role); c != 0 {
		return c
	}
	if c := compareStrings(&a.Environment, &b.Environment); c != 0 {
		return c
	}
	return compareStrings(&a.Name, &b.Name)
}

// compareUpdateKeys orders by job and id. Neither key is nil.
func compareUpdateKeys(a, b *api.JobUpdateKey) int {
	if c := compareJobKeys(a.Job, b.Job); c != 0 {
		return c
	}
	return compareStrings(&a.ID, &b.ID)
}

// updateKeyString writes a key for people: role/environment/name/id.
func updateKeyString(k *api.JobUpdateKey) string {
	return schema.JobKeyString(k.Job) + "/" + k.ID.Get()
}
