package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/scheduler-store/scheduler-store/internal/build"
)

// tracesTimeout bounds the sending of the last traces as the daemon ends.
const tracesTimeout = 2 * time.Second

// tracing sends traces to where the environment says, by OpenTelemetry's own variables
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/):
// without an endpoint there are none, and the provider is nil. What can't be had here is
// refused, so that nobody waits for traces in vain. The function it returns sends what is
// left.
func tracing(ctx context.Context, logger *slog.Logger, host string) (trace.TracerProvider, func(), error) {
	endpoint := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	exporter := os.Getenv("OTEL_TRACES_EXPORTER")
	if endpoint == "" || exporter == "none" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, func() {}, nil
	}
	if exporter != "" && exporter != "otlp" {
		return nil, nil, errors.New("OTEL_TRACES_EXPORTER: traces are sent by OTLP only; want otlp or none")
	}
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		protocol := os.Getenv(variable)
		if protocol != "" && protocol != "http/protobuf" {
			return nil, nil, fmt.Errorf("%s: traces are sent as http/protobuf only, to port 4318 of a collector", variable)
		}
		if protocol != "" {
			break // that of traces counts, whatever that of all signals is
		}
	}
	client, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(attribute.String("service.name", "scheduler-store"),
		attribute.String("service.version", build.Get().Version), attribute.String("host.name", host)), resource.WithFromEnv())
	if err != nil {
		return nil, nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("traces were not sent", "error", err) }))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(client), sdktrace.WithResource(about))
	return provider, func() {
		ctx, cancel := context.WithTimeout(context.Background(), tracesTimeout)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			logger.Warn("the last traces were not sent", "error", err)
		}
	}, nil
}
