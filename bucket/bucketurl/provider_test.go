package bucketurl_test

import (
	"slices"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/cost"
)

func TestProvider(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "STORAGE_EMULATOR_HOST"} {
		t.Setenv(name, "")
	}
	provider := func(url string) string {
		t.Helper()
		location, err := bucketurl.Parse(url)
		if err != nil {
			t.Fatal(err)
		}
		return location.Provider()
	}
	known := []string{""}
	for _, p := range cost.Lists() {
		known = append(known, p.Name)
	}
	for url, want := range map[string]string{
		"s3://bucket/cells/prod?region=us-east-1":                                    "s3",
		"s3://bucket--use1-az4--x-s3/cells/prod":                                     "s3express",
		"s3://point--use1-az4--xa-s3/cells/prod":                                     "s3express",
		"s3://bucket?endpoint=http://127.0.0.1:9000":                                 "",
		"s3://bucket--use1-az4--x-s3?endpoint=http://127.0.0.1:9000":                 "",
		"s3://bucket?endpoint=https://s3.eu-west-1.amazonaws.com":                    "s3",
		"s3://bucket?endpoint=https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com": "s3",
		"s3://bucket?endpoint=https://amazonaws.com.example.com":                     "",
		"gs://bucket/cells/prod":                                                     "gcs",
		"file:///var/lib/scheduler-store":                                            "",
		"mem://name":                                                                 "",
	} {
		if got := provider(url); got != want || !slices.Contains(known, got) {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	t.Setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9023")
	if got := provider("gs://bucket"); got != "" {
		t.Errorf("an emulator: %q", got)
	}
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
		t.Setenv(name, "http://127.0.0.1:9000")
		if got := provider("s3://bucket"); got != "" {
			t.Errorf("%s: %q", name, got)
		}
		if got := provider("s3://bucket?endpoint=https://s3.eu-west-1.amazonaws.com"); got != "s3" {
			t.Errorf("the URL does not win over %s: %q", name, got)
		}
		t.Setenv(name, "")
	}
}

// The bucket that is opened knows it; opening asks the network for nothing here.
func TestOpenTellsTheProvider(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "")
	t.Setenv("AWS_ENDPOINT_URL_S3", "")
	b, err := bucketurl.Open(t.Context(), "s3://bucket/cells/prod?region=us-east-1&anonymous=true", bucketurl.Options{Unchecked: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got := b.Provider(); got != "s3" {
		t.Errorf("provider %q", got)
	}
}
