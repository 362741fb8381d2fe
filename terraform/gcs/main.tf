# The buckets: that of the cells, and one for locked backups if there is to be one. A
# retention policy holds for all that is written, the lease too: so locked backups lie in
# a bucket of their own.

locals {
  buckets = merge(
    { cells = { name = var.bucket, retention = null, noncurrent_days = var.noncurrent_days } },
    var.backups == null ? {} : { backups = { name = var.backups.bucket, retention = var.backups, noncurrent_days = 0 } },
  )
}

resource "google_storage_bucket" "this" {
  for_each                    = local.buckets
  project                     = var.project
  name                        = each.value.name
  location                    = var.location
  force_destroy               = var.force_destroy
  labels                      = var.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = each.value.noncurrent_days > 0
  }

  # Soft delete, seven days unless it is said otherwise, would keep and bill each lease
  # that was replaced, and all garbage, for that long.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # Nothing here deletes a live object: what is live, only the leader can judge.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = 1
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.noncurrent_days > 0 ? [each.value.noncurrent_days] : []

    content {
      action {
        type = "Delete"
      }

      condition {
        with_state                 = "ARCHIVED"
        days_since_noncurrent_time = lifecycle_rule.value
      }
    }
  }

  dynamic "retention_policy" {
    for_each = each.value.retention != null ? [each.value.retention] : []

    content {
      retention_period = retention_policy.value.days * 24 * 60 * 60
      is_locked        = retention_policy.value.locked
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key_id != null ? [var.kms_key_id] : []

    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.storage]
}

# Cloud Storage encrypts and decrypts by itself: only its service agent needs the key.
data "google_storage_project_service_account" "this" {
  count   = var.kms_key_id != null ? 1 : 0
  project = var.project
}

resource "google_kms_crypto_key_iam_member" "storage" {
  count         = var.kms_key_id != null ? 1 : 0
  crypto_key_id = var.kms_key_id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = data.google_storage_project_service_account.this[0].member
}
