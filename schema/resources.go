package schema

import (
	"errors"
	"fmt"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// ResourceKind is a kind of resource: the branch of an api.Resource that is set.
type ResourceKind int

// The kinds. The zero value is none.
const (
	CPUs ResourceKind = iota + 1
	RAM
	Disk
	Ports
	GPUs
)

func (k ResourceKind) String() string {
	switch k {
	case CPUs:
		return "CPUS"
	case RAM:
		return "RAM_MB"
	case Disk:
		return "DISK_MB"
	case Ports:
		return "PORTS"
	case GPUs:
		return "GPUS"
	}
	return fmt.Sprintf("ResourceKind(%d)", int(k))
}

// KindOf returns the kind of a resource, or zero if it is nil or has no branch.
func KindOf(r *api.Resource) ResourceKind {
	switch {
	case r == nil:
		return 0
	case r.NumCpus.Set:
		return CPUs
	case r.RamMb.Set:
		return RAM
	case r.DiskMb.Set:
		return Disk
	case r.NamedPort.Set:
		return Ports
	case r.NumGpus.Set:
		return GPUs
	}
	return 0
}

// QuotaKinds returns the kinds that a quota must have, each once.
func QuotaKinds() []ResourceKind { return []ResourceKind{CPUs, RAM, Disk} }

// CheckQuota returns an error unless the resources are one of each of QuotaKinds.
func CheckQuota(resources []*api.Resource) error {
	if len(resources) > len(QuotaKinds()) {
		return errors.New("Too many resource values in quota.") //lint:ignore ST1005 clients know this text
	}
	found := map[ResourceKind]bool{}
	for _, r := range resources {
		found[KindOf(r)] = true
	}
	for _, k := range QuotaKinds() {
		if !found[k] {
			return fmt.Errorf("Quota resources must be exactly: [CPUS, RAM_MB, DISK_MB]") //lint:ignore ST1005 clients know this text
		}
	}
	return nil
}
