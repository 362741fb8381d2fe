// Command terraform-provider-stub stands in for hashicorp/aws and hashicorp/google,
// whose releases can't be built from the module proxy. It has the schema of the
// resources that the modules below terraform/ use, as the providers' documents give it,
// and does nothing: `tofu validate` finds arguments that are unknown or missing, and
// `tofu test` has something to mock. What it knows is what is written here, no more.
//
// It is the provider that its file's name says.
package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-sdk/v2/diag"
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	"github.com/hashicorp/terraform-plugin-sdk/v2/plugin"
)

func main() {
	resources, data := aws, awsData
	settings := fields{"region": text, "profile": text}
	if strings.Contains(filepath.Base(os.Args[0]), "google") {
		resources, data = google, googleData
		settings = fields{"project": text, "region": text}
	}
	provider := &schema.Provider{
		Schema:         settings.schema(),
		ResourcesMap:   map[string]*schema.Resource{},
		DataSourcesMap: map[string]*schema.Resource{},
	}
	for name, f := range resources {
		provider.ResourcesMap[name] = f.resource()
	}
	for name, f := range data {
		provider.DataSourcesMap[name] = &schema.Resource{Schema: f.schema(), ReadContext: nothing}
	}
	plugin.Serve(&plugin.ServeOpts{ProviderFunc: func() *schema.Provider { return provider }})
}

// fields are a resource's or a block's, by name.
type fields map[string]field

// field makes one attribute or block.
type field func() *schema.Schema

func attribute(kind schema.ValueType) field {
	return func() *schema.Schema { return &schema.Schema{Type: kind, Optional: true} }
}

var (
	text   = attribute(schema.TypeString)
	number = attribute(schema.TypeInt)
	yes    = attribute(schema.TypeBool)
	texts  = list(schema.TypeList)
	set    = list(schema.TypeSet)
	labels = func() *schema.Schema {
		return &schema.Schema{Type: schema.TypeMap, Optional: true, Elem: &schema.Schema{Type: schema.TypeString}}
	}
	// given is what the provider says, never the configuration.
	given = func() *schema.Schema { return &schema.Schema{Type: schema.TypeString, Computed: true} }
)

func list(kind schema.ValueType) field {
	return func() *schema.Schema {
		return &schema.Schema{Type: kind, Optional: true, Elem: &schema.Schema{Type: schema.TypeString}}
	}
}

// must is a field without which nothing is valid.
func must(f field) field {
	return func() *schema.Schema {
		s := f()
		s.Optional, s.Required = false, true
		return s
	}
}

// once is a block that may come once, many one that may come often.
func once(f fields) field {
	return func() *schema.Schema {
		return &schema.Schema{Type: schema.TypeList, Optional: true, MaxItems: 1, Elem: &schema.Resource{Schema: f.schema()}}
	}
}

func many(f fields) field {
	return func() *schema.Schema {
		return &schema.Schema{Type: schema.TypeList, Optional: true, Elem: &schema.Resource{Schema: f.schema()}}
	}
}

func (f fields) schema() map[string]*schema.Schema {
	s := map[string]*schema.Schema{}
	for name, field := range f {
		s[name] = field()
	}
	return s
}

func (f fields) resource() *schema.Resource {
	return &schema.Resource{
		Schema:        f.schema(),
		CreateContext: create, ReadContext: nothing, UpdateContext: nothing, DeleteContext: nothing,
	}
}

func create(_ context.Context, d *schema.ResourceData, _ any) diag.Diagnostics {
	d.SetId("stub")
	return nil
}

func nothing(context.Context, *schema.ResourceData, any) diag.Diagnostics { return nil }
