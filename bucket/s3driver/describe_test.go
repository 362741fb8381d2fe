package s3driver_test

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

// configured answers questions for settings, by their names in the query.
func configured(t *testing.T, documents map[string]string) driver.Settings {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		for name, document := range documents {
			if r.URL.Query().Has(name) {
				fmt.Fprint(w, document)
				return
			}
		}
		code := map[string]string{
			"lifecycle": "NoSuchLifecycleConfiguration", "object-lock": "ObjectLockConfigurationNotFoundError",
			"policyStatus": "NoSuchBucketPolicy", "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
		}
		for name, code := range code {
			if r.URL.Query().Has(name) {
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
				return
			}
		}
		fmt.Fprint(w, "<VersioningConfiguration/>")
	}))
	t.Cleanup(server.Close)
	return open(t, parameters(server.URL)).Settings(t.Context())
}

// A setting that was never made is one that does nothing, and no error.
func TestSettingsThatWereNeverMade(t *testing.T) {
	want := driver.Settings{Room: driver.Setting[driver.Room]{Err: errors.ErrUnsupported}}
	if got := configured(t, nil); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestSettings(t *testing.T) {
	s := configured(t, map[string]string{
		"versioning": "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
		"lifecycle": `<LifecycleConfiguration>
			<Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>cells/</Prefix></Filter><Expiration><Days>9</Days></Expiration></Rule>
			<Rule><ID>off</ID><Status>Disabled</Status><Filter/><Expiration><Days>9</Days></Expiration></Rule>
			<Rule><ID>tagged</ID><Status>Enabled</Status><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Expiration><Days>9</Days></Expiration></Rule>
			<Rule><ID>tagged too</ID><Status>Enabled</Status><Filter><And><Prefix>x</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter><Expiration><Days>9</Days></Expiration></Rule>
			<Rule><ID>old style</ID><Status>Enabled</Status><Prefix>logs/</Prefix><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule>
			<Rule><ID>large</ID><Status>Enabled</Status><Filter><And><Prefix>big/</Prefix><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></And></Filter><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition></Rule>
			<Rule><ID>near</ID><Status>Enabled</Status><Filter/><Transition><Days>1</Days><StorageClass>STANDARD_IA</StorageClass></Transition><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>
		</LifecycleConfiguration>`,
		"object-lock":       "<ObjectLockConfiguration><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>2</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
		"policyStatus":      "<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>",
		"publicAccessBlock": "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>",
	})
	want := driver.Settings{
		Versioning: driver.Setting[driver.Versioning]{Value: driver.Versioning{Enabled: true}},
		Rules: driver.Setting[[]driver.Rule]{Value: []driver.Rule{
			{ID: "a", Prefixes: []string{"cells/"}, Expires: true, When: "after 9 days"},
			{ID: "old style", Prefixes: []string{"logs/"}, ExpiresNoncurrent: true},
			{ID: "large", Prefixes: []string{"big/"}, MovesTo: "GLACIER"},
			{ID: "near"},
		}},
		Retention:     driver.Setting[driver.Retention]{Value: driver.Retention{Versions: 48 * time.Hour}},
		Public:        driver.Setting[string]{Value: "the bucket's policy"},
		PublicBlocked: driver.Setting[bool]{Value: true},
		Room:          driver.Setting[driver.Room]{Err: errors.ErrUnsupported},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	s = configured(t, map[string]string{"publicAccessBlock": "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>"})
	if s.PublicBlocked.Value {
		t.Error("a block of some ways in counts as one of all")
	}
}

// Why a setting could not be had is told: it is never taken for one that was not made.
func TestSettingsThatCantBeRead(t *testing.T) {
	for a, want := range map[answer]error{
		{403, "AccessDenied"}:     driver.ErrDenied,
		{404, "NoSuchBucket"}:     driver.ErrNoBucket,
		{501, "NotImplemented"}:   errors.ErrUnsupported,
		{405, "MethodNotAllowed"}: errors.ErrUnsupported,
	} {
		b, _ := answering(t, a)
		s := b.Settings(t.Context())
		for name, err := range map[string]error{
			"versioning": s.Versioning.Err, "rules": s.Rules.Err, "retention": s.Retention.Err, "public": s.Public.Err, "blocked": s.PublicBlocked.Err,
		} {
			if !errors.Is(err, want) {
				t.Errorf("%v: %s: %v", a, name, err)
			}
		}
	}
}

// The time is known from a refusal too, which may be for the clock's sake.
func TestServerTime(t *testing.T) {
	for _, a := range []answer{{403, "RequestTimeTooSkewed"}, {403, "AccessDenied"}} {
		b, _ := answering(t, a)
		now, err := b.ServerTime(t.Context())
		if off := time.Since(now); err != nil || off < -time.Second || off > time.Minute {
			t.Errorf("%v: %v, %v", a, now, err)
		}
	}
}
