package cost

import "slices"

// Prices are a provider's list prices in one region, in US dollars.
type Prices struct {
	// Name is how flags and bucket.Options call it; empty for what costs nothing.
	Name   string `json:"name"`
	Title  string `json:"title"`
	Region string `json:"region,omitzero"`
	// Date is the month whose list prices these are.
	Date   string `json:"date,omitzero"`
	Source string `json:"source,omitzero"`
	// Write, List, Read and Delete are for 1,000 requests.
	Write  float64 `json:"write"`
	List   float64 `json:"list"`
	Read   float64 `json:"read"`
	Delete float64 `json:"delete"`
	// Upload and Retrieval are for a GB of bodies.
	Upload    float64 `json:"upload"`
	Retrieval float64 `json:"retrieval"`
	// Storage is for a GB for a month.
	Storage float64 `json:"storage"`
	// FreeRefusals tells that what is answered with a 4xx costs nothing. Nobody takes
	// money for a 5xx.
	FreeRefusals bool `json:"freeRefusals"`
}

// lists are the prices that are known. Of the S3 ones, what is billed among answers that
// are errors is from
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ErrorCodeBilling.html; those of
// S3 Express are as lowered in April 2025, and stand in the examples of
// https://aws.amazon.com/s3/faqs/.
var lists = []Prices{
	{Name: "s3", Title: "Amazon S3 Standard", Region: "us-east-1", Date: "2025-04", Source: "https://aws.amazon.com/s3/pricing/",
		Write: 0.005, List: 0.005, Read: 0.0004, Storage: 0.023},
	{Name: "s3express", Title: "Amazon S3 Express One Zone", Region: "us-east-1", Date: "2025-04", Source: "https://aws.amazon.com/s3/pricing/",
		Write: 0.00113, List: 0.00113, Read: 0.00003, Upload: 0.0032, Retrieval: 0.0006, Storage: 0.11},
	{Name: "gcs", Title: "Google Cloud Storage Standard", Region: "us-central1", Date: "2026-09", Source: "https://cloud.google.com/storage/pricing",
		Write: 0.005, List: 0.005, Read: 0.0004, Storage: 0.020, FreeRefusals: true},
}

// free is for what nobody bills by request.
var free = Prices{Title: "no provider that bills by request"}

// Lists are the prices that are known, without what costs nothing.
func Lists() []Prices { return slices.Clone(lists) }

// PricesOf finds prices by name. An empty name is that of what costs nothing.
func PricesOf(name string) (Prices, bool) {
	if name == "" {
		return free, true
	}
	i := slices.IndexFunc(lists, func(p Prices) bool { return p.Name == name })
	if i < 0 {
		return Prices{}, false
	}
	return lists[i], true
}

const gigabyte = 1 << 30

// Dollars is what requests cost.
func (p Prices) Dollars(r Requests) float64 {
	if p.FreeRefusals {
		r.Writes, r.Lists, r.Reads = r.Writes-r.RefusedWrites, r.Lists-r.RefusedLists, r.Reads-r.RefusedReads
	}
	requests := p.Write*r.Writes + p.List*r.Lists + p.Read*r.Reads + p.Delete*r.Deletes
	return requests/1000 + (p.Upload*r.UploadedBytes+p.Retrieval*r.RetrievedBytes)/gigabyte
}

// StorageDollars is what it costs to keep that many bytes for a month.
func (p Prices) StorageDollars(bytes float64) float64 { return p.Storage * bytes / gigabyte }
