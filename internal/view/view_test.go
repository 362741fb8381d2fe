package view

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

func headerOf(kind blob.Kind, count int) blob.Header {
	return blob.Header{Kind: kind, Position: 7, Epoch: 3, First: 41, Count: count, Time: time.UnixMilli(1700000000000).UTC(), RawSize: 30, BodySize: 20}
}

func record(t *testing.T, tx *api.Transaction) []byte {
	t.Helper()
	b, err := tx.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Each kind of entry, in the very form that scripts read.
func TestWhole(t *testing.T) {
	id := func(id string) []*api.Op { return []*api.Op{{SaveFrameworkID: &api.SaveFrameworkID{ID: api.Some(id)}}} }
	zeros := persistence.Hash{}.String()
	common := `"time":"2023-11-14T22:13:20Z","writer":"` + persistence.WriterID{}.String() + `","prev":"` + zeros + `","hash":"` + zeros +
		`","object":"log/0000000003/00000000000000000007","bytes":172,"rawBytes":30`
	for _, c := range []struct {
		name  string
		entry *blob.Entry
		want  string
	}{
		{"records", &blob.Entry{Header: headerOf(blob.KindRecords, 3), Records: [][]byte{
			record(t, &api.Transaction{Ops: id("<f&1>")}),
			record(t, &api.Transaction{Ops: id("f2"), Idempotency: &api.Idempotency{Key: api.Some("k1")}}),
			record(t, &api.Transaction{}),
		}}, `{"position":7,"epoch":3,"kind":"records","firstTransaction":41,"transactionCount":3,` + common + `,"transactions":[` +
			`{"transaction":41,"ops":[{"saveFrameworkId":{"id":"<f&1>"}}]},` +
			`{"transaction":42,"idempotencyKey":"k1","ops":[{"saveFrameworkId":{"id":"f2"}}]},` +
			`{"transaction":43,"ops":[]}]}`},
		{"seal", &blob.Entry{Header: headerOf(blob.KindSeal, 0), NextEpoch: 4},
			`{"position":7,"epoch":3,"kind":"seal","nextEpoch":4,"firstTransaction":41,"transactionCount":0,` + common + `,"transactions":[]}`},
		{"restore", &blob.Entry{Header: headerOf(blob.KindRestore, 1), Restore: &blob.Restore{Format: 1, Folder: "restore/x", Reason: "why"}},
			`{"position":7,"epoch":3,"kind":"restore","firstTransaction":41,"transactionCount":1,` + common +
				`,"transactions":[],"restore":{"format":1,"folder":"restore/x","manifest":"` + zeros + `","reason":"why"}}`},
		{"what is no transaction is not read as one", &blob.Entry{Header: headerOf(77, 1), Records: [][]byte{{1, 2, 3}}},
			`{"position":7,"epoch":3,"kind":"kind 77","firstTransaction":41,"transactionCount":1,` + common + `,"transactions":[]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := schema.ToJSON(Whole(c.entry)); err != nil || string(got) != c.want {
				t.Errorf("%v\n%s\nwant\n%s", err, got, c.want)
			}
		})
	}
}

// A record that can't be shown does not hide the others.
func TestTransactionsThatCantBeShown(t *testing.T) {
	bad := record(t, &api.Transaction{Ops: []*api.Op{{SaveFrameworkID: &api.SaveFrameworkID{ID: api.Some("here")}}}})
	bad[bytes.Index(bad, []byte("here"))] = 0xff
	e := Whole(&blob.Entry{Header: headerOf(blob.KindRecords, 2), Records: [][]byte{{12}, bad}})
	if len(e.Transactions) != 2 {
		t.Fatalf("%+v", e)
	}
	for _, shown := range e.Transactions {
		if shown.Problem == "" || shown.Ops != nil {
			t.Errorf("%+v", shown)
		}
	}
	if _, err := schema.ToJSON(e); err != nil {
		t.Error(err)
	}
	if _, err := json.Marshal(e); err != nil {
		t.Error(err)
	}
}

func TestSnapshotOf(t *testing.T) {
	m := &snapshot.Manifest{Name: "n", At: persistence.Point{Next: 8, Transaction: 41}, Made: time.UnixMilli(1700000000000).UTC(), By: "h", Reason: "r",
		Counts: map[string]int{"tasks": 2}, Parts: []snapshot.Part{{Bytes: 5}, {Bytes: 6}}}
	want := `{"name":"n","transaction":41,"position":7,"made":"2023-11-14T22:13:20Z","by":"h","reason":"r","bytes":11,"ownBytes":11,"counts":{"tasks":2}}`
	if got, err := schema.ToJSON(SnapshotOf(m)); err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	m.Base, m.Parts[0].Object = "b", "snapshot/b/part-00000"
	want = strings.Replace(strings.Replace(want, `"bytes"`, `"base":"b","bytes"`, 1), `"ownBytes":11`, `"ownBytes":6`, 1)
	if got, err := schema.ToJSON(SnapshotOf(m)); err != nil || string(got) != want {
		t.Errorf("incremental: %v\n%s\nwant\n%s", err, got, want)
	}
}

func TestProblems(t *testing.T) {
	a, b := errors.New("a"), errors.New("b \xff")
	both := fmt.Errorf("%w: %w", a, b)
	for _, c := range []struct {
		err  error
		want []string
	}{
		{nil, nil},
		{a, []string{"a"}},
		{both, []string{"a: b \ufffd"}},
		{errors.Join(a, b), []string{"a", "b \ufffd"}},
		{errors.Join(a, errors.Join(both, b)), []string{"a", "a: b \ufffd", "b \ufffd"}},
		{fmt.Errorf("of all: %w", errors.Join(a, b)), []string{"of all: a\nb \ufffd"}},
	} {
		if got := Problems(c.err); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
