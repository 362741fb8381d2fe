package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scheduler-store/scheduler-store/schema"
)

// Field is a field of a row that is not the same in two versions of it.
type Field struct {
	// Path is where it is in the row: assignedTask.ports.http, taskEvents[2].
	Path string `json:"path"`
	// Before and After are its values as JSON, empty where it is not set.
	Before jsontext.Value `json:"before,omitzero"`
	After  jsontext.Value `json:"after,omitzero"`
}

func (f *Field) String() string {
	text := func(v jsontext.Value) string {
		if len(v) == 0 {
			return "-"
		}
		return string(v)
	}
	change := text(f.Before) + " → " + text(f.After)
	if f.Path == "" { // of a row that is one value
		return change
	}
	return f.Path + ": " + change
}

// Fields returns what differs between two versions of a row, ordered by path; nil is a
// row that is missing. Lists are compared element by element.
func Fields(before, after any) ([]Field, error) {
	x, err := tree(before)
	if err != nil {
		return nil, err
	}
	y, err := tree(after)
	if err != nil {
		return nil, err
	}
	c := &comparison{fields: []Field{}}
	c.compare("", x, y)
	return c.fields, c.err
}

// missing is a value that is not set, unlike null.
type missing struct{}

func tree(row any) (any, error) {
	if row == nil {
		return map[string]any{}, nil
	}
	data, err := schema.ToJSON(row)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // else large integers lose digits
	var v any
	err = decoder.Decode(&v)
	return v, err
}

type comparison struct {
	fields []Field
	err    error
}

func (c *comparison) compare(path string, x, y any) {
	if reflect.DeepEqual(x, y) {
		return
	}
	switch a := x.(type) {
	case map[string]any:
		if b, ok := y.(map[string]any); ok {
			names := maps.Clone(a)
			maps.Copy(names, b)
			for _, name := range slices.Sorted(maps.Keys(names)) {
				at := name
				if path != "" {
					at = path + "." + name
				}
				c.compare(at, member(a, name), member(b, name))
			}
			return
		}
	case []any:
		if b, ok := y.([]any); ok {
			for i := range max(len(a), len(b)) {
				c.compare(fmt.Sprintf("%s[%d]", path, i), element(a, i), element(b, i))
			}
			return
		}
	}
	c.fields = append(c.fields, Field{path, c.text(x), c.text(y)})
}

func member(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return v
	}
	return missing{}
}

func element(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return missing{}
}

// text is a value as JSON, with the members of objects in order.
func (c *comparison) text(v any) jsontext.Value {
	if _, ok := v.(missing); ok {
		return nil
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		c.err = err
	}
	return bytes.TrimSpace(b.Bytes())
}
