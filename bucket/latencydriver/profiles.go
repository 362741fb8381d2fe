package latencydriver

import (
	"fmt"
	"strings"
	"time"
)

// Profile is what a store's requests take, by kind. The zero value is a store
// without latency; one value may be used by many buckets.
type Profile struct {
	// Name is what Lookup finds it by, and what reports call it.
	Name string
	// Read is Get and GetRange of an object that is there, to the last byte.
	Read Distribution
	// Miss is a read of an object that is not there. One without a median means
	// that it takes what a read takes.
	Miss Distribution
	// Write is Create and Replace, whether their condition held or not.
	Write Distribution
	// List is one page of at most 1,000 keys.
	List Distribution
	// Delete is Delete.
	Delete Distribution
	// NoHedging says that the store punishes requests that are sent once more.
	NoHedging bool
}

func (p Profile) miss() Distribution {
	if p.Miss.Median == 0 {
		return p.Read
	}
	return p.Miss
}

// Profiles returns the profiles of clouds, each time anew.
func Profiles() []Profile { return []Profile{s3(), s3Express(), gcs()} }

// Lookup returns the profile of that name. Its error lists the names there are.
func Lookup(name string) (Profile, error) {
	var names []string
	for _, p := range Profiles() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("no latency profile is called %q; there are %s", name, strings.Join(names, ", "))
}

const megabyte = 1e6

// The numbers below are of a client in the store's region whose connections are
// open. docs/latency-profiles.md has the links, and the percentiles they come to.

// s3 is S3 Standard.
func s3() Profile {
	// Our estimate of how slow the slowest 2 % are: a p99 of 3.3 medians lies
	// between the 2 of TopicPartition (March 2025, only 100 requests) and the 11
	// at p95 of cloudsqale (2020, 10 million uploads of parts under heavy load);
	// the p99.9 of 0.9 s is below the 2 s after which AWS advises to retry.
	slow := Tail{Probability: 0.02, Factor: 2, Alpha: 1.5, Max: 10 * time.Second}
	return Profile{
		Name: "s3",
		// Grebennikov (Nixiesearch, December 2025), GetObject of 4 KiB: p50 26.8,
		// p90 46.9, p95 69, p99 113 ms. Tigris (2025), 1 KB: p50 22, p90 42 ms.
		// 80 MB/s for one request: Quickwit; 100 MB/s: Snyder.
		Read: Distribution{
			Median: 26 * time.Millisecond, Sigma: 0.36, BytesPerSecond: 80 * megabyte,
			Tail: Tail{Probability: 0.06, Factor: 2.2, Alpha: 3, Max: 5 * time.Second},
		},
		// turbopuffer: metadata p50 10, p90 17 ms; that a missing object is told
		// by the metadata alone, and its tail, are our estimates.
		Miss: Distribution{
			Median: 10 * time.Millisecond, Sigma: 0.41,
			Tail: Tail{Probability: 0.06, Factor: 2.2, Alpha: 3, Max: 5 * time.Second},
		},
		// 60 ms: Douglas (2025/26), compare-and-swap p50 58 to 68 ms, and PUT of
		// small objects 60 ms + 20 ms/MiB, from TopicPartition's p50 69.8, p95
		// 101 ms at 500 KiB, whose ratio is the sigma here. SlateDB: 50 to 100 ms.
		Write: Distribution{
			Median: 60 * time.Millisecond, Sigma: 0.23, BytesPerSecond: 50 * megabyte,
			Tail: slow,
		},
		// Our estimates: no source found.
		List:   Distribution{Median: 60 * time.Millisecond, Sigma: 0.3, Tail: slow},
		Delete: Distribution{Median: 30 * time.Millisecond, Sigma: 0.3, Tail: slow},
	}
}

// s3Express is S3 Express One Zone, from the same zone.
func s3Express() Profile {
	// Our estimate: no source tells of the slowest writes.
	slow := Tail{Probability: 0.01, Factor: 2, Alpha: 1.5, Max: time.Second}
	return Profile{
		Name: "s3express",
		// Grebennikov (Nixiesearch, December 2025), 4 KiB: p50 2.48, p90 3.77, p95
		// 5.16, p99 9.29 ms. AWS: single-digit milliseconds to the first byte.
		// 100 MB/s, and that a miss takes as long, are our estimates.
		Read: Distribution{
			Median: 2450 * time.Microsecond, Sigma: 0.27, BytesPerSecond: 100 * megabyte,
			Tail: Tail{Probability: 0.05, Factor: 2, Alpha: 3, Max: time.Second},
		},
		// SlateDB: 5 to 10 ms. Douglas's estimate from the reads: p50 6.5 ms +
		// 10 ms/MiB, p99 11 ms. He measured 13 ms for conditional appends and 14
		// to 26 ms for compare-and-swap, each to a single object; a log creates
		// objects, so this follows the former.
		Write: Distribution{
			Median: 7 * time.Millisecond, Sigma: 0.24, BytesPerSecond: 100 * megabyte,
			Tail: slow,
		},
		// Our estimates: no source found.
		List:   Distribution{Median: 7 * time.Millisecond, Sigma: 0.3, Tail: slow},
		Delete: Distribution{Median: 5 * time.Millisecond, Sigma: 0.3, Tail: slow},
	}
}

// gcs is Google Cloud Storage, Standard class in one region. Public figures are
// few, so most of this is our estimate.
func gcs() Profile {
	// Our estimate, as S3's.
	slow := Tail{Probability: 0.02, Factor: 2, Alpha: 1.5, Max: 10 * time.Second}
	return Profile{
		Name: "gcs",
		// Our estimate: above the 12 to 18 ms of metadata (turbopuffer), below the
		// 100 to 400 ms that JuiceFS saw.
		Read: Distribution{
			Median: 50 * time.Millisecond, Sigma: 0.4, BytesPerSecond: 60 * megabyte,
			Tail: slow,
		},
		// turbopuffer: metadata p50 12 to 18, p90 15 to 25 ms; the tail is ours.
		Miss: Distribution{Median: 15 * time.Millisecond, Sigma: 0.22, Tail: slow},
		// Our estimate: SlateDB says 50 to 100 ms; Douglas measured 170 ms for
		// compare-and-swap of a single object (which GCS takes once a second),
		// estimates 17 ms/MiB and a sigma of 0.3.
		Write: Distribution{
			Median: 100 * time.Millisecond, Sigma: 0.3, BytesPerSecond: 60 * megabyte,
			Tail: slow,
		},
		// Our estimates: no source found.
		List:   Distribution{Median: 60 * time.Millisecond, Sigma: 0.3, Tail: slow},
		Delete: Distribution{Median: 50 * time.Millisecond, Sigma: 0.3, Tail: slow},
		// Google: one change of an object a second, more are answered with 429.
		NoHedging: true,
	}
}
