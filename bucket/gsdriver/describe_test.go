package gsdriver_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

func TestSettings(t *testing.T) {
	document := `{"name":"bucket"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, document)
	}))
	defer server.Close()
	b := opened(t, server.URL)

	want := driver.Settings{Public: driver.Setting[string]{Err: errors.ErrUnsupported}, Room: driver.Setting[driver.Room]{Err: errors.ErrUnsupported}}
	if got := b.Settings(t.Context()); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}

	document = `{"name":"bucket","versioning":{"enabled":true},"softDeletePolicy":{"retentionDurationSeconds":"604800"},
		"retentionPolicy":{"retentionPeriod":"86400","effectiveTime":"2026-01-01T00:00:00Z"},"defaultEventBasedHold":true,
		"iamConfiguration":{"publicAccessPrevention":"enforced"},
		"lifecycle":{"rule":[
			{"action":{"type":"Delete"},"condition":{"age":9,"matchesPrefix":["cells/"]}},
			{"action":{"type":"Delete"},"condition":{"numNewerVersions":1}},
			{"action":{"type":"Delete"},"condition":{"age":9,"isLive":false}},
			{"action":{"type":"Delete"},"condition":{"daysSinceCustomTime":9}},
			{"action":{"type":"SetStorageClass","storageClass":"ARCHIVE"},"condition":{"age":9}}]}}`
	want.Versioning.Value = driver.Versioning{Enabled: true, SoftDelete: 7 * 24 * time.Hour}
	want.Retention.Value = driver.Retention{Objects: 24 * time.Hour, Hold: true}
	want.PublicBlocked.Value = true
	want.Rules.Value = []driver.Rule{
		{ID: "1", Prefixes: []string{"cells/"}, Expires: true, ExpiresNoncurrent: true, When: "after 9 days"},
		{ID: "2", ExpiresNoncurrent: true, When: "at once"},
		{ID: "3", ExpiresNoncurrent: true, When: "after 9 days"},
		{ID: "5", When: "after 9 days"},
	}
	if got := b.Settings(t.Context()); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSettingsThatCantBeRead(t *testing.T) {
	b, _ := answering(t, answer{403, "forbidden", "no"})
	s := b.Settings(t.Context())
	for _, err := range []error{s.Versioning.Err, s.Rules.Err, s.Retention.Err, s.PublicBlocked.Err} {
		if !errors.Is(err, driver.ErrDenied) {
			t.Error(err)
		}
	}
}

func TestServerTime(t *testing.T) {
	b, _ := answering(t, answer{403, "forbidden", "no"})
	now, err := b.ServerTime(t.Context())
	if off := time.Since(now); err != nil || off < -time.Second || off > time.Minute {
		t.Errorf("%v, %v", now, err)
	}
}
