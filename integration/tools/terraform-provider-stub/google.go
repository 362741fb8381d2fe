package main

// google has what the module for GCS uses, by hashicorp/google 7.
var google = map[string]fields{
	"google_storage_bucket": {
		"name": must(text), "location": must(text), "project": text, "storage_class": text, "force_destroy": yes, "labels": labels,
		"uniform_bucket_level_access": yes, "public_access_prevention": text,
		"versioning":         once(fields{"enabled": must(yes)}),
		"encryption":         once(fields{"default_kms_key_name": must(text)}),
		"soft_delete_policy": once(fields{"retention_duration_seconds": number}),
		"retention_policy":   once(fields{"is_locked": yes, "retention_period": must(number)}),
		"lifecycle_rule": many(fields{
			"action": must(once(fields{"type": must(text), "storage_class": text})),
			"condition": must(once(fields{
				"age": number, "with_state": text, "days_since_noncurrent_time": number, "num_newer_versions": number, "matches_prefix": texts,
			})),
		}),
		"url": given, "self_link": given,
	},
	"google_project_iam_custom_role": {
		"role_id": must(text), "title": must(text), "description": text, "project": text, "stage": text, "permissions": must(set),
		"name": given,
	},
	"google_storage_bucket_iam_member": {
		"bucket": must(text), "role": must(text), "member": must(text),
		"condition": once(fields{"title": must(text), "description": text, "expression": must(text)}),
		"etag":      given,
	},
	"google_kms_crypto_key_iam_member": {"crypto_key_id": must(text), "role": must(text), "member": must(text), "etag": given},
}

var googleData = map[string]fields{
	"google_project":                         {"project_id": text, "number": given},
	"google_storage_project_service_account": {"project": text, "email_address": given, "member": given},
}
