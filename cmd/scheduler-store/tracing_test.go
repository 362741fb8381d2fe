package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collected is a server that takes traces, as a collector does.
type collected struct {
	*httptest.Server
	mu       sync.Mutex
	names    []string
	services []string
}

func collect(t *testing.T) *collected {
	c := &collected{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &request)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range request.ResourceSpans {
			for _, a := range resource.Resource.Attributes {
				if a.Key == "service.name" {
					c.services = append(c.services, a.Value.GetStringValue())
				}
			}
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					c.names = append(c.names, span.Name)
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// A daemon that is told of a collector sends it the traces of its writes, of its
// recovery, and of its fail-over.
func TestDaemonSendsTraces(t *testing.T) {
	c := collect(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	d := startDaemon(t, "--store", newDirectory(t)).leads()
	d.save("a")
	if err := d.endsAfter(syscall.SIGTERM); err != nil {
		t.Fatal(err, d.stderr)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range []string{"write", "lock", "work", "queue", "pack", "put", "order", "recovery", "load", "replay", "take over", "detect"} {
		if !slices.Contains(c.names, name) {
			t.Errorf("no span %s among %q", name, c.names)
		}
	}
	if len(c.services) == 0 || c.services[0] != "scheduler-store" {
		t.Errorf("services are %q", c.services)
	}
	if strings.Contains(d.stderr.String(), "traces") {
		t.Errorf("the log: %s", d.stderr)
	}
}

// A collector that is away is told of in the log, and is no reason not to serve.
func TestDaemonWithoutItsCollector(t *testing.T) {
	c := collect(t)
	c.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	d := startDaemon(t, "--store", newDirectory(t)).leads()
	d.save("a")
	if err := d.endsAfter(syscall.SIGTERM); err != nil {
		t.Fatal(err, d.stderr)
	}
	if !strings.Contains(d.stderr.String(), "traces were not sent") {
		t.Errorf("the log: %s", d.stderr)
	}
}

func TestTracingThatCantBeHad(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	for _, test := range []struct{ variable, value, says string }{
		{"OTEL_TRACES_EXPORTER", "zipkin", "OTEL_TRACES_EXPORTER: traces are sent by OTLP only"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL: traces are sent as http/protobuf only"},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"},
	} {
		t.Run(test.variable, func(t *testing.T) {
			t.Setenv(test.variable, test.value)
			if p, _, err := tracing(t.Context(), nil, "host"); p != nil || err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("another protocol for other signals", func(t *testing.T) {
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
		p, end, err := tracing(t.Context(), nil, "host")
		if p == nil || err != nil {
			t.Fatal(p, err)
		}
		end()
	})
	for _, off := range [][2]string{{"OTEL_TRACES_EXPORTER", "none"}, {"OTEL_SDK_DISABLED", "TRUE"}, {"OTEL_EXPORTER_OTLP_ENDPOINT", ""}} {
		t.Run(off[0]+" "+off[1], func(t *testing.T) {
			t.Setenv(off[0], off[1])
			if p, _, err := tracing(t.Context(), nil, "host"); p != nil || err != nil {
				t.Errorf("%v %v", p, err)
			}
		})
	}
}
