package wire

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// PathError is a fault in one part of a value.
type PathError struct {
	Path string // as in ops[0].saveTasks.tasks[2].status
	Err  error
}

func (e *PathError) Error() string { return e.Path + ": " + e.Err.Error() }

func (e *PathError) Unwrap() error { return e.Err }

// In returns err, if there is one, as a fault in the named field.
func In(field string, err error) error {
	if err == nil {
		return nil
	}
	inner, ok := err.(*PathError)
	switch {
	case !ok:
		return &PathError{Path: field, Err: err}
	case strings.HasPrefix(inner.Path, "["):
		return &PathError{Path: field + inner.Path, Err: inner.Err}
	default:
		return &PathError{Path: field + "." + inner.Path, Err: inner.Err}
	}
}

// InElem returns err, if there is one, as a fault in an element of the named field.
func InElem(field string, i int, err error) error {
	if err == nil {
		return nil
	}
	return In(fmt.Sprintf("%s[%d]", field, i), err)
}

// InEntry returns err, if there is one, as a fault in an entry of the named map.
func InEntry(field, key string, err error) error {
	if err == nil {
		return nil
	}
	return In(fmt.Sprintf("%s[%q]", field, key), err)
}

// CheckString returns an error unless s can be written and read back.
func CheckString(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%q is not UTF-8", s)
	}
	return nil
}

// CheckOptional does what CheckString does for a string that may be unset.
func CheckOptional(s Optional[string]) error {
	if !s.Set {
		return nil
	}
	return CheckString(s.Value)
}

// CheckEnum returns an error unless an enum value is unset or one of the known ones.
func CheckEnum[T interface{ IsKnown() bool }](v Optional[T], name string) error {
	if !v.Set || v.Value.IsKnown() {
		return nil
	}
	return fmt.Errorf("unknown %s %v", name, v.Value)
}

// CheckBranches returns an error unless exactly one branch of a union is set.
func CheckBranches(n int, union string) error {
	switch n {
	case 1:
		return nil
	case 0:
		return fmt.Errorf("%s without a branch that this schema knows", union)
	default:
		return fmt.Errorf("%s with %d branches, must be one", union, n)
	}
}
