package main

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/scheduler-store/scheduler-store/internal/view"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/storage"
)

func (c *command) diffCommand() *cobra.Command {
	var a, b atFlag
	return &cobra.Command{
		Use:   "diff A [B]",
		Short: "Print what differs between two places in the history",
		Long: `Print every row that is not the same in the state as of A and in that as of B, which is now if
it is not given. It reads the bucket only, and needs no daemon.

Of A and B each is what AT is elsewhere. ` + atHelp,
		Example: `  scheduler-store diff 2h
  scheduler-store diff 17 transaction:41 --output json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return fmt.Errorf("diff takes one or two places in the history, not %d", len(args))
			}
			if len(args) == 2 {
				if err := b.Set(args[1]); err != nil {
					return err
				}
			}
			return a.Set(args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			before, err := c.recoverPast(cmd.Context(), a.until)
			if err != nil {
				return err
			}
			after, err := c.recoverPast(cmd.Context(), b.until)
			if err != nil {
				return err
			}
			return c.printDiff(before, after)
		},
	}
}

// placed is a point as it is shown.
type placed struct {
	Transaction persistence.TransactionNumber `json:"transaction"`
	Position    int64                         `json:"position"` // -1 before the first entry
}

func placeOf(state *recovered) placed { return placed{state.at.Transaction, int64(state.at.Next) - 1} }

// difference is a row that differs, in JSON.
type difference struct {
	Kind   storage.Kind `json:"kind"`
	Key    string       `json:"key,omitzero"`
	What   string       `json:"what"`
	Fields []view.Field `json:"fields"`
}

func (c *command) printDiff(before, after *recovered) error {
	if c.output == jsonOutput {
		return c.writeJSON(func(w *jsonWriter) {
			w.object(func() {
				w.member("from", placeOf(before))
				w.member("to", placeOf(after))
				w.token(jsontext.String("differences"))
				w.token(jsontext.BeginArray)
				for d := range storage.Diff(before.View, after.View) {
					fields, err := view.Fields(d.Before, d.After)
					if err != nil && w.err == nil {
						w.err = err
					}
					w.value(difference{d.Kind, d.Key, d.What(), fields})
				}
				w.token(jsontext.EndArray)
			})
		})
	}
	for d := range storage.Diff(before.View, after.View) {
		fields, err := view.Fields(d.Before, d.After)
		if err == nil {
			_, err = fmt.Fprintf(c.stdout, "%s%s\n", rowText(d.Kind, d.Key), changeText(d.What(), fields))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rowText names a row.
func rowText(kind storage.Kind, key string) string {
	return strings.TrimSuffix(string(kind)+" "+printable(key), " ")
}

// changeText says what became of a row: of one that was added or removed only its state,
// of others each field that is not the same.
func changeText(what string, fields []view.Field) string {
	texts := []string{}
	for _, f := range fields {
		switch {
		case what == "changed":
			texts = append(texts, f.String())
		case f.Path == "status" || f.Path == "mode" || f.Path == "update.summary.state.status":
			texts = append(texts, strings.Trim(string(f.Before)+string(f.After), `"`))
		}
	}
	text := " " + what
	if len(texts) > 0 {
		text += ": " + strings.Join(texts, "; ")
	}
	return printable(text)
}
