package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/scheduler-store/scheduler-store/cost"
)

// projectionView is a column of the projection in JSON.
type projectionView struct {
	Name string `json:"name"`
	cost.Projection
}

// printProjections prints a month of each rate.
func (c *command) printProjections(f *costFlags) error {
	name := string(f.prices)
	if name == "" {
		name = "s3"
	}
	prices, _ := cost.PricesOf(name) // the flag knows no others
	views := []projectionView{}
	for _, column := range f.columns {
		w := f.workload
		w.TransactionsPerSecond = column.rate
		views = append(views, projectionView{column.name, cost.Project(prices, w)})
	}
	if c.output == jsonOutput {
		return c.printJSON(struct {
			Prices      cost.Prices      `json:"prices"`
			Projections []projectionView `json:"projections"`
		}{prices, views})
	}
	fmt.Fprintf(c.stdout, "dollars a month, %s\n", describePrices(prices))
	fmt.Fprintf(c.stdout, "%s\n\n", f.describeWorkload())
	row := func(name string, cell func(cost.Projection) string) []string {
		cells := []string{name}
		for _, v := range views {
			cells = append(cells, cell(v.Projection))
		}
		return cells
	}
	header := []string{"CAUSE"}
	for _, column := range f.columns {
		header = append(header, column.name)
	}
	t := c.table(header...)
	for _, cause := range cost.Causes() {
		t.row(row(string(cause), func(p cost.Projection) string { return dollars(p.Of(cause)) })...)
	}
	t.row(row("total", func(p cost.Projection) string { return dollars(p.Dollars) })...)
	t.row(row("log's PUTs a second", func(p cost.Projection) string { return strconv.FormatFloat(p.EntriesPerSecond, 'f', 2, 64) })...)
	return t.flush()
}

// dollars is an amount to the cent; empty for nothing at all.
func dollars(amount float64) string {
	switch {
	case amount == 0:
		return ""
	case amount < 0.005:
		return "<0.01"
	}
	return strconv.FormatFloat(amount, 'f', 2, 64)
}

func describePrices(p cost.Prices) string {
	if p.Name == "" {
		return "by " + p.Title
	}
	return fmt.Sprintf("by the list prices of %s in %s, %s (%s)", p.Title, p.Region, p.Date, p.Source)
}

func (f *costFlags) describeWorkload() string {
	w := f.workload
	s := fmt.Sprintf("one leader, %s, %s; records of %d bytes, PUTs of %v, a lease of %v",
		count(w.Followers, "follower"), count(w.Standbys, "standby"), w.RecordBytes, w.PutLatency, w.Lease.TTL)
	if w.Linger > 0 {
		s += fmt.Sprintf(", a linger of %v", w.Linger)
	}
	if w.MaxPutsPerSecond > 0 {
		s += fmt.Sprintf(", at most %v PUTs a second", w.MaxPutsPerSecond)
	}
	return s
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printReport prints what a daemon has asked for.
func (c *command) printReport(ctx context.Context, f *costFlags) error {
	var status struct {
		Cost *cost.Report `json:"cost"`
	}
	if err := f.of.ask(ctx, http.MethodGet, "/v1/status", nil, &status); err != nil {
		return err
	}
	if status.Cost == nil {
		return fmt.Errorf("the daemon at %s does not tell what it costs; it is of an older version", f.of.server)
	}
	report := *status.Cost
	if f.prices != "" {
		prices, _ := cost.PricesOf(string(f.prices))
		report = report.At(prices)
	}
	if c.output == jsonOutput {
		return c.printJSON(report)
	}
	prices, ok := cost.PricesOf(report.Prices)
	if !ok {
		prices.Title = "the list " + report.Prices
	}
	fmt.Fprintf(c.stdout, "requests in %s, %s\n\n", age(time.Duration(report.Seconds*float64(time.Second))), describePrices(prices))
	t := c.table("CAUSE", "REQUESTS", "DOLLARS", "DOLLARS A MONTH")
	row := func(name string, requests, amount float64) {
		t.row(name, strconv.FormatFloat(requests, 'f', 0, 64), dollars(amount), dollars(report.PerMonth(amount)))
	}
	for _, l := range report.Causes {
		row(string(l.Cause), l.Total(), l.Dollars)
	}
	row("total", report.Requests, report.Dollars)
	return t.flush()
}
