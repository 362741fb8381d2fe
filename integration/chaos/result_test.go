package chaos_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/evidence"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/simulation/check"
)

// save prints what was done and what came of it, and keeps it for the report.
func (c *chaos) save(r *check.Report, at persistence.Point, seals, sightings int) {
	result := evidence.Result{Suite: "processes", Began: c.began.UTC(), Took: time.Since(c.began).Round(time.Second),
		Command: fmt.Sprintf("make chaos KILLS=%d FREEZES=%d CUTS=%d RESTARTS=%d SEED=%d",
			kills.get(c.T), freezes.get(c.T), cutsDone.get(c.T), restarts.get(c.T), c.seed),
		Tables: []evidence.Table{c.doneTable(), toldTable(r, at, seals, sightings), c.keptTable()},
		Found:  append([]string{}, c.problems...),
		Notes: []string{"A seed repeats what is done and in which order, not what comes of it: these are real processes.",
			"The times of fail-over are of a machine that does many other things; they are there to show that nothing hangs."}}
	for _, table := range result.Tables {
		fmt.Println(table.Title)
		for _, row := range append([][]string{table.Header}, table.Rows...) {
			for _, cell := range row {
				fmt.Printf("  %-34s", cell)
			}
			fmt.Println()
		}
	}
	if err := evidence.Save(result); err != nil {
		c.Error(err)
	}
}

func (c *chaos) doneTable() evidence.Table {
	table := evidence.Table{Title: "What was done", Header: []string{"what", "times", "until another led, median", "at most"}}
	for _, what := range slices.Sorted(maps.Keys(c.done)) {
		if what == "nothing" || what == "the verdict" {
			continue
		}
		median, most := "", ""
		if took := slices.Sorted(slices.Values(c.failover[what])); len(took) > 0 {
			median, most = took[len(took)/2].Round(10*time.Millisecond).String(), took[len(took)-1].Round(10*time.Millisecond).String()
		}
		table.Add(what, c.done[what], median, most)
	}
	table.Add("leaders killed, in all", c.leadersKilled, "", "")
	table.Add("daemons killed, in all", c.killed, "", "")
	return table
}

func toldTable(r *check.Report, at persistence.Point, seals, sightings int) evidence.Table {
	table := evidence.Table{Title: "What clients were told, and what is true", Header: []string{"what", "number"}}
	table.Add("transactions tried", r.Transactions)
	table.Add("acknowledged", r.Acknowledged)
	table.Add("refused: not committed", r.Refused)
	table.Add("unknown, and committed", r.Landed)
	table.Add("unknown, and not committed", r.Vanished)
	table.Add("linearizable reads", r.Reads)
	table.Add("states shown by followers", sightings)
	table.Add("transactions in the log", at.Transaction)
	table.Add("leaderships", seals)
	for _, rule := range []string{"lost", "doubled", "reordered", "moved", "torn", "resurrected", "stale"} {
		table.Add(rule, r.Count(rule))
	}
	table.Add("violations in all", len(r.Violations))
	return table
}

func (c *chaos) keptTable() evidence.Table {
	table := evidence.Table{Title: "What else was asked for, and how it was answered", Header: []string{"what", "answer", "times"}}
	for _, what := range slices.Sorted(maps.Keys(c.keeper.answered)) {
		for _, kind := range slices.Sorted(maps.Keys(c.keeper.answered[what])) {
			table.Add(what, kind, c.keeper.answered[what][kind])
		}
	}
	return table
}
