package server

import (
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// A client's trace goes on in the store (https://www.w3.org/TR/trace-context/).
func TestTraceOfAClientGoesOn(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	store, err := schedulerstore.OpenBucket(t.Context(), bucket.New(memdriver.New(), "mem://traces", "", bucket.Options{}), schedulerstore.Options{TracerProvider: provider})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close(t.Context())
	if err := store.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := &host{t, New(store, Options{}), store, nil}
	const id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	h.commit(save("a"), "traceparent: 00-"+id+"-"+parent+"-01")
	for _, s := range recorder.Ended() {
		if s.Name() == "write" && s.SpanContext().TraceID().String() == id && s.Parent().SpanID().String() == parent {
			return
		}
	}
	t.Errorf("no write is in the client's trace: %v", recorder.Ended())
}
