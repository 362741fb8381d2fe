package stores_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/buckettest/faultproxy"
)

// TestHedgedCreate: on a real store, an upload that is held up on its way, or whose
// reply is, lands by a second try; and what comes of the first later changes nothing.
func TestHedgedCreate(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store) {
		for name, fault := range map[string]faultproxy.Action{"held up": faultproxy.Hold, "applied, no reply": faultproxy.StallAfter} {
			t.Run(name, func(t *testing.T) {
				registry := prometheus.NewRegistry()
				d, err := s.open(t.Context(), bucketName, quick)
				if err != nil {
					t.Fatal(err)
				}
				b := bucket.New(d, "the store", rand.Text(), bucket.Options{Registerer: registry})
				defer b.Close()
				s.proxy.Heal()
				h := bucket.NewHedger(b, bucket.HedgeOn)
				for i := range 100 {
					if _, err := h.Create(t.Context(), fmt.Sprintf("usual/%d", i), unique("usual")); err != nil {
						t.Fatal(err)
					}
				}
				// Where the budget has none left, a try that stalls is made again instead.
				for i := range 100 {
					key, data := fmt.Sprintf("slow/%d", i), unique("slow")
					s.proxy.Inject(faultproxy.Fault{Match: faultproxy.Method(http.MethodPut, http.MethodPost), Do: fault})
					version, err := h.Create(t.Context(), key, data)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = s.proxy.Release() // there may be none
					mustHold(t, b, key, data, version)
					if hedgesWon(t, registry) > 0 {
						return
					}
				}
				t.Error("no second try was answered before the first")
			})
		}
	})
}

func hedgesWon(t *testing.T, registry *prometheus.Registry) (n float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "scheduler_store_bucket_hedges_won_total" {
			for _, metric := range family.GetMetric() {
				n += metric.GetCounter().GetValue()
			}
		}
	}
	return n
}
