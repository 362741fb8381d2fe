package check

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// A register is a host's record; its value is the id of the agent there. It is the
// smallest row that holds any string. Hosts are never removed, so only a restore unsets
// a register.

// registerOp returns the op that sets a register.
func registerOp(register, value string) *api.Op {
	return &api.Op{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: hostOf(register, value)}}
}

func hostOf(register, value string) *api.HostAttributes {
	return &api.HostAttributes{Host: api.Some(register), SlaveID: api.Some(value), Mode: api.Some(api.MaintenanceModeNONE)}
}

// Ops returns the ops of a transaction that sets registers, for a store's Apply.
func Ops(wrote map[string]string) []*api.Op {
	ops := make([]*api.Op, 0, len(wrote))
	for _, register := range slices.Sorted(maps.Keys(wrote)) {
		ops = append(ops, registerOp(register, wrote[register]))
	}
	return ops
}

// Save sets registers in a transaction's work.
func Save(tx storage.Mutable, wrote map[string]string) error {
	for _, register := range slices.Sorted(maps.Keys(wrote)) {
		if _, err := tx.Hosts().Save(hostOf(register, wrote[register])); err != nil {
			return err
		}
	}
	return nil
}

// RegistersOf returns the registers of a state: those that are set.
func RegistersOf(view storage.View) map[string]string {
	registers := make(map[string]string, view.Hosts().Len())
	for host := range view.Hosts().All() {
		registers[host.Host.Value] = host.SlaveID.Value
	}
	return registers
}

// Written returns the registers that a transaction's ops set, as durability.Change or
// the store's history has them.
func Written(ops []*api.Op) map[string]string {
	wrote := map[string]string{}
	for _, op := range ops {
		if op.SaveHostAttributes != nil {
			host := op.SaveHostAttributes.HostAttributes
			wrote[host.Host.Value] = host.SlaveID.Value
		}
	}
	return wrote
}

// Records are those of a state that has these registers and nothing else, for a
// restore.
func Records(registers map[string]string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, op := range Ops(registers) {
			t := api.Transaction{Ops: []*api.Op{op}, SchemaVersion: api.CurrentSchemaVersion}
			if record, err := t.AppendBinary(nil); !yield(record, err) || err != nil {
				return
			}
		}
	}
}

// registersText is how registers are printed: a=1 b=2.
func registersText(registers map[string]string) string {
	if len(registers) == 0 {
		return "nothing"
	}
	words := make([]string, 0, len(registers))
	for _, register := range slices.Sorted(maps.Keys(registers)) {
		words = append(words, fmt.Sprintf("%s=%s", register, registers[register]))
	}
	return strings.Join(words, " ")
}
