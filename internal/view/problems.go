package view

import "strings"

// Problems are the errors that errors.Join has joined, a text each.
func Problems(err error) []string {
	if err == nil {
		return nil
	}
	whole := []string{problem(err)}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return whole
	}
	var all []string
	for _, err := range joined.Unwrap() {
		all = append(all, Problems(err)...)
	}
	if strings.Join(all, "\n") != whole[0] { // one error that matches several
		return whole
	}
	return all
}
