package durability

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// Scope is the instrumentation scope of all spans of this module.
const Scope = "github.com/scheduler-store/scheduler-store"

// span follows one write from the call to its outcome, which may come after the call
// has returned. Its stages are spans below it, made when they have ended:
//
//	lock ─ work ─ queue ─ pack ─ put ─ order
//
// Lock waits for the write lock and for room in the log's queue; queue waits for the
// entry; pack compresses and hashes that; put is its request; order waits for the
// entries before it. The last four are those of all transactions in the entry. A nil
// span is of a write that nobody traces.
type span struct {
	tracer trace.Tracer
	ctx    context.Context // of the span
	span   trace.Span
	handed time.Time // to the log
}

// trace begins the span of a write, below that in ctx if there is one.
func (s *Storage) trace(ctx context.Context) *span {
	if s.tracer == nil {
		return nil
	}
	t := &span{tracer: s.tracer}
	if t.ctx, t.span = s.tracer.Start(ctx, "write"); !t.span.IsRecording() {
		return nil
	}
	return t
}

// stage is one that began at an instant and ends now.
func (t *span) stage(name string, began time.Time) {
	if t != nil {
		t.part(name, began, time.Now())
	}
}

func (t *span) part(name string, began, ended time.Time) {
	_, part := t.tracer.Start(t.ctx, name, trace.WithTimestamp(began))
	part.End(trace.WithTimestamp(ended))
}

// toLog notes that the record is handed over.
func (t *span) toLog(number persistence.TransactionNumber, bytes int) {
	if t != nil {
		t.handed = time.Now()
		t.span.SetAttributes(attribute.Int64("scheduler_store.transaction", int64(number)), attribute.Int("scheduler_store.bytes", bytes))
	}
}

// answered ends the span with the log's answer.
func (t *span) answered(ack persistence.Ack, err error) {
	if t == nil {
		return
	}
	if e := ack.Entry; err == nil && e != nil { // not of a log that tells no times
		t.part("queue", t.handed, e.Formed)
		t.part("pack", e.Formed, e.Sent)
		t.part("put", e.Sent, e.Landed)
		t.part("order", e.Landed, time.Now())
		t.span.SetAttributes(attribute.Int64("scheduler_store.position", int64(ack.Position)),
			attribute.Int64("scheduler_store.epoch", int64(ack.Epoch)), attribute.Int("scheduler_store.entry.transactions", e.Records))
	}
	t.end(err)
}

// returned ends the span of a write whose call returns, if the log has not taken its record.
func (t *span) returned(err error) {
	if t != nil && (err != nil || t.handed.IsZero()) {
		t.end(err)
	}
}

func (t *span) end(err error) {
	if err != nil {
		t.span.SetStatus(codes.Error, err.Error())
	}
	t.span.End()
}
