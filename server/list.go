package server

import (
	"bufio"
	"fmt"
	"iter"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scheduler-store/scheduler-store/schema"
)

// listBuffer is what is sent at once, in bytes.
const listBuffer = 64 << 10

// uncounted: only going through a list tells its length.
const uncounted = -1

// list answers with {"name":[…],"total":n}. Items are written while they are found,
// so a list may be of any length. total is known beforehand, or uncounted.
func list[T any](q *read, name string, items iter.Seq[T], total int) error {
	page := q.page()
	if q.err != nil {
		return q.err
	}
	if !q.found() {
		return nil
	}
	q.lists <- struct{}{}
	defer func() { <-q.lists }()
	out := bufio.NewWriterSize(&pieces{q.w, q.lists}, listBuffer)
	if err := writeList(out, name, items, total, page); err != nil {
		// It is too late to say so in any other way.
		q.logger.Warn("list was cut off", "path", q.r.URL.Path, "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

func writeList[T any](out *bufio.Writer, name string, items iter.Seq[T], total int, page page) error {
	enc := jsontext.NewEncoder(out, schema.JSONOptions())
	err := writeTokens(enc, jsontext.BeginObject, jsontext.String(name), jsontext.BeginArray)
	n := 0
	for item := range items {
		if total != uncounted && page.beyond(n) {
			break
		}
		if page.shows(n) && err == nil {
			err = json.MarshalEncode(enc, item)
		}
		if err != nil {
			return err
		}
		n++
	}
	if total == uncounted {
		total = n
	}
	if err == nil {
		err = writeTokens(enc, jsontext.EndArray, jsontext.String("total"), jsontext.Int(int64(total)), jsontext.EndObject)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

func writeTokens(enc *jsontext.Encoder, tokens ...jsontext.Token) error {
	for _, t := range tokens {
		if err := enc.WriteToken(t); err != nil {
			return err
		}
	}
	return nil
}

// pieces is an answer that is sent piece by piece.
type pieces struct {
	w http.ResponseWriter
	// turns, if not nil, has a place for each answer that may be made at once, one of which
	// is this one's while it does not send. Hundreds of long lists would otherwise take the
	// processor from whatever else is to be done for so long that the lease is lost.
	turns chan struct{}
}

func newPieces(w http.ResponseWriter) *bufio.Writer {
	return bufio.NewWriterSize(&pieces{w: w}, listBuffer)
}

func (p *pieces) Write(b []byte) (int, error) {
	if p.turns != nil {
		<-p.turns // how long that takes is the client's affair
		defer func() { p.turns <- struct{}{} }()
	}
	n, err := p.w.Write(b)
	if err != nil {
		return n, fmt.Errorf("send: %w", err)
	}
	return n, nil
}
