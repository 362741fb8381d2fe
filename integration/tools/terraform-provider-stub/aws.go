package main

// aws has what the module for S3 uses, by hashicorp/aws 6.
var aws = map[string]fields{
	"aws_s3_bucket": {
		"bucket": text, "force_destroy": yes, "object_lock_enabled": yes, "tags": labels,
		"arn": given, "bucket_regional_domain_name": given,
	},
	"aws_s3_bucket_public_access_block": {
		"bucket": must(text), "block_public_acls": yes, "block_public_policy": yes, "ignore_public_acls": yes, "restrict_public_buckets": yes,
	},
	"aws_s3_bucket_ownership_controls": {
		"bucket": must(text), "rule": must(once(fields{"object_ownership": must(text)})),
	},
	"aws_s3_bucket_versioning": {
		"bucket": must(text), "versioning_configuration": must(once(fields{"status": must(text), "mfa_delete": text})),
	},
	"aws_s3_bucket_server_side_encryption_configuration": {
		"bucket": must(text),
		"rule": must(many(fields{
			"bucket_key_enabled":                      yes,
			"apply_server_side_encryption_by_default": once(fields{"sse_algorithm": must(text), "kms_master_key_id": text}),
		})),
	},
	"aws_s3_bucket_lifecycle_configuration": {
		"bucket": must(text),
		"rule": must(many(fields{
			"id": must(text), "status": must(text),
			"filter":                            once(fields{"prefix": text}),
			"expiration":                        once(fields{"date": text, "days": number, "expired_object_delete_marker": yes}),
			"noncurrent_version_expiration":     once(fields{"noncurrent_days": must(number), "newer_noncurrent_versions": number}),
			"abort_incomplete_multipart_upload": once(fields{"days_after_initiation": must(number)}),
		})),
	},
	"aws_s3_bucket_policy": {"bucket": must(text), "policy": must(text)},
	"aws_s3_bucket_object_lock_configuration": {
		"bucket": must(text),
		"rule":   once(fields{"default_retention": must(once(fields{"mode": must(text), "days": number, "years": number}))}),
	},
	"aws_iam_policy": {
		"name": text, "path": text, "description": text, "policy": must(text), "tags": labels, "arn": given,
	},
	"aws_iam_role": {
		"name": text, "path": text, "description": text, "assume_role_policy": must(text), "permissions_boundary": text,
		"max_session_duration": number, "tags": labels, "arn": given,
	},
	"aws_iam_role_policy_attachment": {"role": must(text), "policy_arn": must(text)},
	"aws_eks_pod_identity_association": {
		"cluster_name": must(text), "namespace": must(text), "service_account": must(text), "role_arn": must(text), "tags": labels,
	},
}

var awsData = map[string]fields{
	"aws_partition": {"partition": given, "dns_suffix": given},
}
