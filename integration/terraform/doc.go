// Package terraform tests the modules below terraform/ with OpenTofu: each module and
// example is valid, the modules for S3 and GCS plan what they should with mocked
// providers, and the one for MinIO is applied to a real server, where the store runs with
// each role's credentials and every call that a role must not make is refused.
//
// make terraform-test builds what this needs, and runs it. Elsewhere the tests are
// skipped: OpenTofu takes minutes to build.
package terraform
