package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// A dashboard is a grid of 24 columns. Rows hold panels, which fill it from left to right.
const (
	columns     = 24
	schema      = 39 // Grafana 10.4 and newer; a newer Grafana migrates it as it loads it
	panelHeight = 8
	statHeight  = 4
)

// row is a heading with panels below it.
type row struct {
	title  string
	panels []panel
}

// panel is one picture.
type panel struct {
	kind  string // time, stat, or states; time if empty
	title string
	// help says what to look for. It is shown at a panel's corner.
	help    string
	unit    string // as Grafana names it
	queries []query
	width   int // 0 is a third of the grid for time, an eighth for stat
	// good and bad are where a stat turns green and red, if bad is not 0.
	bad float64
	// name shows the name of what a stat has a value for, not the value.
	name bool
}

// query is one or more lines.
type query struct{ legend, expr string }

// object is a JSON object. Its members are sorted when it is encoded, so that the file
// stays the same while nothing is changed.
type object map[string]any

var datasource = object{"type": "prometheus", "uid": "${datasource}"}

// encode makes the file, with a line for each panel: so a diff shows which have changed.
func encode() ([]byte, error) {
	dashboard := object{
		"uid": "scheduler-store", "title": "Scheduler store", "tags": []string{"scheduler-store"},
		"description":   "One cell of scheduler-store: who leads, how commits go, what a recovery would take, what it costs. Alerts and what to do for each: docs/runbook.md.",
		"schemaVersion": schema, "version": 1, "editable": true, "graphTooltip": 1, "refresh": "30s", "timezone": "",
		"time":        object{"from": "now-3h", "to": "now"},
		"annotations": object{"list": []any{leaderChanges}}, "links": []any{},
		"templating": object{"list": []any{
			object{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0, "options": []any{}, "multi": false, "includeAll": false},
			object{"name": "job", "label": "Cell", "type": "query", "datasource": datasource, "query": object{"query": "label_values(scheduler_store_leader, job)", "refId": "job"},
				"definition": "label_values(scheduler_store_leader, job)", "refresh": 2, "sort": 1, "hide": 0, "options": []any{}, "multi": false, "includeAll": false},
		}},
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out) // ends each value with a new line
	e.SetEscapeHTML(false)
	out.WriteString("{\n")
	for _, name := range slices.Sorted(maps.Keys(dashboard)) {
		fmt.Fprintf(&out, "%q: ", name)
		if err := e.Encode(dashboard[name]); err != nil {
			return nil, err
		}
		out.WriteString(", ")
	}
	out.WriteString("\"panels\": [\n")
	for i, p := range panels(rows()) {
		if i > 0 {
			out.WriteString(", ")
		}
		if err := e.Encode(p); err != nil {
			return nil, err
		}
	}
	out.WriteString("]}\n")
	return out.Bytes(), nil
}

// leaderChanges marks in every picture when a process began to lead.
var leaderChanges = object{"name": "Leader changes", "datasource": datasource, "enable": true, "hide": false, "iconColor": "purple",
	"expr": `changes(scheduler_store_leading_since_timestamp_seconds{job="$job"}[$__interval]) > 0 and scheduler_store_leader{job="$job"} == 1`, "titleFormat": "{{instance}} leads"}

func panels(rows []row) []object {
	all := []object{}
	y := 0
	for _, r := range rows {
		all = append(all, object{"id": len(all) + 1, "type": "row", "title": r.title, "collapsed": false, "panels": []any{},
			"gridPos": object{"x": 0, "y": y, "w": columns, "h": 1}})
		y++
		x, height := 0, 0
		for _, p := range r.panels {
			w, h := p.size()
			if x+w > columns {
				x, y, height = 0, y+height, 0
			}
			o := p.object()
			o["id"], o["gridPos"] = len(all)+1, object{"x": x, "y": y, "w": w, "h": h}
			all = append(all, o)
			x, height = x+w, max(height, h)
		}
		y += height
	}
	return all
}

func (p panel) size() (width, height int) {
	width, height = columns/3, panelHeight
	if p.kind == "stat" {
		width, height = columns/8, statHeight
	}
	if p.width > 0 {
		width = p.width
	}
	return width, height
}

func (p panel) object() object {
	targets := []object{}
	for i, q := range p.queries {
		targets = append(targets, object{"refId": string(rune('A' + i)), "datasource": datasource, "expr": q.expr, "legendFormat": q.legend, "instant": p.kind == "stat", "range": p.kind != "stat"})
	}
	defaults := object{"unit": p.unit, "min": 0}
	o := object{"title": p.title, "description": p.help, "datasource": datasource, "targets": targets,
		"fieldConfig": object{"defaults": defaults, "overrides": []any{}}}
	switch p.kind {
	case "stat":
		o["type"] = "stat"
		o["options"] = object{"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}, "textMode": p.textMode(),
			"colorMode": "background", "graphMode": "none", "justifyMode": "auto", "orientation": "auto"}
		steps := []object{{"color": "green", "value": nil}}
		if p.bad != 0 {
			steps = append(steps, object{"color": "red", "value": p.bad})
		}
		defaults["thresholds"] = object{"mode": "absolute", "steps": steps}
		defaults["color"] = object{"mode": "thresholds"}
		delete(defaults, "min")
	case "states":
		o["type"] = "state-timeline"
		o["options"] = object{"showValue": "never", "mergeValues": true, "rowHeight": 0.8, "legend": object{"showLegend": false, "displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "single"}}
		defaults["thresholds"] = object{"mode": "absolute", "steps": []object{{"color": "text", "value": nil}, {"color": "green", "value": 1}}}
		defaults["color"] = object{"mode": "thresholds"}
	default:
		o["type"] = "timeseries"
		o["options"] = object{"legend": object{"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []any{}}, "tooltip": object{"mode": "multi", "sort": "desc"}}
		defaults["custom"] = object{"drawStyle": "line", "lineWidth": 1, "fillOpacity": 5, "showPoints": "never", "spanNulls": false}
	}
	return o
}

func (p panel) textMode() string {
	if p.name {
		return "name"
	}
	return "auto"
}

// quantile is the query of a quantile of a histogram, by what by names.
func quantile(q float64, histogram, by string) string {
	if by != "" {
		by = ", " + by
	}
	return "histogram_quantile(" + strconv.FormatFloat(q, 'g', -1, 64) + `, sum by (le` + by + `) (rate(` + histogram + `_bucket{job="$job"}[$__rate_interval])))`
}

// rate is the query of a counter's rate, summed by what by names.
func rate(counter, labels, by string) string {
	if labels != "" {
		labels = ", " + labels
	}
	return `sum by (` + by + `) (rate(` + counter + `{job="$job"` + labels + `}[$__rate_interval]))`
}
