package schedulerstore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/storage"
)

// spans are those that ended, by their names.
func spans(r *tracetest.SpanRecorder) map[string][]sdktrace.ReadOnlySpan {
	all := map[string][]sdktrace.ReadOnlySpan{}
	for _, s := range r.Ended() {
		all[s.Name()] = append(all[s.Name()], s)
	}
	return all
}

// stagesOf are the names of the spans right below one, in order. They must follow on each
// other, and fill it.
func stagesOf(t *testing.T, r *tracetest.SpanRecorder, whole sdktrace.ReadOnlySpan) string {
	t.Helper()
	var names []string
	at := whole.StartTime()
	for _, s := range r.Ended() {
		if s.Parent().SpanID() != whole.SpanContext().SpanID() {
			continue
		}
		if !s.StartTime().Equal(at) {
			t.Errorf("%s of %s begins %v after the stage before", s.Name(), whole.Name(), s.StartTime().Sub(at))
		}
		at = s.EndTime()
		names = append(names, s.Name())
	}
	if !whole.EndTime().Equal(at) {
		t.Errorf("%s ends %v after its last stage", whole.Name(), whole.EndTime().Sub(at))
	}
	return strings.Join(names, " ")
}

func took(s sdktrace.ReadOnlySpan) time.Duration { return s.EndTime().Sub(s.StartTime()) }

func TestTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a", "b") // what is recovered
		cut := c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Do: memdriver.Fail})
		if err := one.Close(t.Context()); err != nil { // without a release
			t.Fatal(err)
		}
		cut.Stop()
		recorder := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
		get := c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("log/"), Do: memdriver.Delay(30 * time.Millisecond)})
		two := c.open("two", Options{TracerProvider: provider})
		if err := two.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		get.Stop()
		recovery := spans(recorder)["recovery"]
		if len(recovery) != 1 || stagesOf(t, recorder, recovery[0]) != "load replay" || took(recovery[0]) < 30*time.Millisecond {
			t.Fatalf("recoveries: %v", recovery)
		}

		if err := two.Campaign(t.Context()); err != nil { // once the lease has run out
			t.Fatal(err)
		}
		over := spans(recorder)["take over"]
		if len(over) != 1 || stagesOf(t, recorder, over[0]) != "detect claim replay seal ready" || took(over[0]) < ttl {
			t.Errorf("fail-overs: %v", over)
		}

		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Do: memdriver.Delay(20 * time.Millisecond)})
		ctx, parent := provider.Tracer("test").Start(t.Context(), "client")
		before := len(recorder.Ended())
		if err := two.Write(ctx, func(_ context.Context, tx storage.Mutable) error {
			time.Sleep(5 * time.Millisecond)
			return save("c")(ctx, tx)
		}); err != nil {
			t.Fatal(err)
		}
		if n := len(recorder.Ended()) - before; n != 7 {
			t.Errorf("a write has %d spans", n)
		}
		all := spans(recorder)
		write := all["write"][len(all["write"])-1]
		if write.Parent().SpanID() != parent.SpanContext().SpanID() || write.Status().Code != codes.Unset {
			t.Errorf("the write is below %v, and is %v", write.Parent(), write.Status())
		}
		if stages := stagesOf(t, recorder, write); stages != "lock work queue pack put order" {
			t.Errorf("a write goes through %s", stages)
		}
		if put, work := all["put"][0], all["work"][len(all["work"])-1]; took(put) != 20*time.Millisecond || took(work) != 5*time.Millisecond {
			t.Errorf("the work took %v, the PUT %v", took(work), took(put))
		}
		attributes := map[string]string{}
		for _, a := range write.Attributes() {
			attributes[string(a.Key)] = a.Value.String()
		}
		if attributes["scheduler_store.transaction"] != "2" || attributes["scheduler_store.epoch"] != "2" || attributes["scheduler_store.entry.transactions"] != "1" {
			t.Errorf("the write has %v", attributes)
		}

		wrong := errors.New("wrong")
		if err := two.Write(ctx, func(context.Context, storage.Mutable) error { return wrong }); !errors.Is(err, wrong) {
			t.Fatal(err)
		}
		all = spans(recorder)
		if write = all["write"][len(all["write"])-1]; write.Status().Code != codes.Error || write.Status().Description != "wrong" || stagesOf(t, recorder, write) != "lock work" {
			t.Errorf("a write that failed: %v", write.Status())
		}
		if err := two.Write(ctx, func(context.Context, storage.Mutable) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if open := len(recorder.Started()) - len(recorder.Ended()); open != 1 { // the client's
			t.Errorf("%d spans never ended", open)
		}
	})
}

// A trace that is not sampled costs no spans below it.
func TestTracesThatAreNotSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		recorder := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
		s := c.open("one", Options{TracerProvider: provider})
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.write(s, "a")
		if n := len(recorder.Started()); n != 0 {
			t.Errorf("%d spans", n)
		}
		sampled := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, Remote: true}))
		if err := s.Write(sampled, save("b")); err != nil {
			t.Fatal(err)
		}
		if n := len(recorder.Ended()); n == 0 {
			t.Error("a caller's trace was not gone on with")
		}
	})
}
