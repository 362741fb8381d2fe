package latencydriver_test

import (
	"fmt"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/latencydriver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// A bucket in memory that is as slow as S3, but for its writes: 2 % of them are
// 20 times slower than the others.
func Example() {
	profile, err := latencydriver.Lookup("s3")
	if err != nil {
		fmt.Println(err)
		return
	}
	profile.Name = "s3 with stragglers"
	profile.Write = latencydriver.Distribution{
		Median: 60 * time.Millisecond,
		Tail:   latencydriver.Tail{Probability: 0.02, Factor: 20},
	}
	b := bucket.New(latencydriver.New(memdriver.New(), profile, 1), "mem://slow", "", bucket.Options{})
	fmt.Println(b.Name(), profile.Name)
	// Output: mem://slow s3 with stragglers
}
