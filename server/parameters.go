package server

import (
	"encoding"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// parameters are those of a query. The first that can't be used is kept as err, so
// that a handler reads them all and looks once.
type parameters struct {
	values url.Values
	err    error
}

// newParameters refuses parameters that are not among those allowed: a filter that
// is spelled wrongly must not widen the answer. Nor must an empty one, or a blank one:
// to the stores a blank role is none.
func newParameters(r *http.Request, allowed ...string) (*parameters, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "invalid-parameter", "invalid parameter", "the query can't be read: %v", err)
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !slices.Contains(allowed, name) {
			return nil, badParameter(name, "unknown parameter; %s", oneOf(allowed))
		}
		if slices.ContainsFunc(values[name], func(value string) bool { return strings.TrimSpace(value) == "" }) {
			return nil, badParameter(name, "has no value")
		}
	}
	return &parameters{values: values}, nil
}

func oneOf(names []string) string {
	if len(names) == 0 {
		return "there are none here"
	}
	return "want one of " + strings.Join(names, ", ")
}

func (p *parameters) fail(name, detail string, values ...any) {
	if p.err == nil {
		p.err = badParameter(name, detail, values...)
	}
}

// given tells whether any of these was given.
func (p *parameters) given(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return len(p.values[name]) > 0 })
}

func (p *parameters) many(name string) []string { return p.values[name] }

// one is a parameter that may be given once.
func (p *parameters) one(name string) api.Optional[string] {
	switch values := p.values[name]; len(values) {
	case 0:
		return api.Optional[string]{}
	case 1:
		return api.Some(values[0])
	}
	p.fail(name, "may be given once only")
	return api.Optional[string]{}
}

// number is a number from 0 to 2³¹−1, 0 unless given.
func (p *parameters) number(name string) int {
	text := p.one(name)
	if !text.Set {
		return 0
	}
	n, err := strconv.ParseUint(text.Value, 10, 31)
	if err != nil {
		p.fail(name, "%q is no number from 0 to 2147483647", text.Value)
	}
	return int(n)
}

func (p *parameters) numbers(name string) []int32 {
	var numbers []int32
	for _, text := range p.many(name) {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			p.fail(name, "%q is no number", text)
		}
		numbers = append(numbers, int32(n))
	}
	return numbers
}

// enums reads values of an enum by their names.
func enums[E any, P interface {
	*E
	encoding.TextUnmarshaler
}](p *parameters, name string) []E {
	var values []E
	for _, text := range p.many(name) {
		var v E
		if err := P(&v).UnmarshalText([]byte(text)); err != nil {
			p.fail(name, "%v", err)
		}
		values = append(values, v)
	}
	return values
}

func (p *parameters) jobKey(name, text string) *api.JobKey {
	key, err := schema.ParseJobKey(text)
	if err != nil {
		p.fail(name, "%v", err)
	}
	return key
}

// page is what is shown of a list: limit elements after the first offset, all if
// limit is 0.
type page struct{ offset, limit int }

func (p *parameters) page() page { return page{p.number("offset"), p.number("limit")} }

func (p page) shows(i int) bool { return i >= p.offset && !p.beyond(i) }

// beyond tells that nothing is shown from i on.
func (p page) beyond(i int) bool { return p.limit > 0 && i >= p.offset+p.limit }
