package stores_test

import (
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// TestChecksumModes: MinIO and versitygw take the checksums that S3's client sends unless
// it is told not to, in the clear as a header and with TLS behind the body, and do without.
func TestChecksumModes(t *testing.T) {
	authority := servers.NewAuthority(t)
	t.Setenv("AWS_CA_BUNDLE", authority.File)
	for name, server := range map[string]*servers.S3{
		"MinIO":          &servers.StartMinIO(t).S3,
		"MinIO with TLS": &servers.StartSecureMinIO(t, authority).S3,
		"versitygw":      servers.StartVersityGW(t),
	} {
		server.UseCredentials(t)
		server.MakeBucket(t, bucketName)
		for _, request := range []string{"when_supported", "when_required"} {
			for _, response := range []string{"when_supported", "when_required"} {
				t.Run(name+", "+request+", "+response, func(t *testing.T) {
					b, err := bucketurl.Open(t.Context(), server.BucketURL(bucketName, "cell")+
						"&request_checksum_calculation="+request+"&response_checksum_validation="+response, bucketurl.Options{RetryFor: time.Second})
					if err != nil {
						t.Fatal(err)
					}
					defer b.Close()
					if err := use(t.Context(), b); err != nil {
						t.Fatal(err)
					}
				})
			}
		}
	}
}
