# The buckets. A bucket without a policy of its own has no anonymous access: MinIO
# evaluates bucket policies for anonymous requests only, so there is none to be made.

resource "minio_s3_bucket" "cells" {
  bucket = var.bucket
  acl    = "private"
}

# The lease is replaced some 17,000 times a day: with versioning, what is not current
# must go soon, or each of these is kept.
resource "minio_s3_bucket_versioning" "cells" {
  count  = var.noncurrent_days > 0 ? 1 : 0
  bucket = minio_s3_bucket.cells.bucket

  versioning_configuration {
    status = "Enabled"
  }
}

# Nothing here expires a current version: what is live, only the leader can judge.
resource "minio_ilm_policy" "cells" {
  count  = var.noncurrent_days > 0 ? 1 : 0
  bucket = minio_s3_bucket_versioning.cells[0].bucket

  rule {
    id         = "noncurrent"
    expiration = "DeleteMarker"

    noncurrent_expiration {
      days = "${var.noncurrent_days}d"
    }
  }
}

resource "minio_s3_bucket_server_side_encryption" "cells" {
  count           = var.kms_key_id != null ? 1 : 0
  bucket          = minio_s3_bucket.cells.bucket
  encryption_type = "aws:kms"
  kms_key_id      = var.kms_key_id
}

# Object lock needs versions, and locks whatever is written: so backups that are
# locked lie in a bucket of their own, where there is no lease and no garbage.
resource "minio_s3_bucket" "backups" {
  count          = var.backups != null ? 1 : 0
  bucket         = var.backups.bucket
  acl            = "private"
  object_locking = true
}

resource "minio_s3_bucket_retention" "backups" {
  count           = var.backups != null ? 1 : 0
  bucket          = minio_s3_bucket.backups[0].bucket
  mode            = var.backups.mode
  unit            = "DAYS"
  validity_period = var.backups.days
}

# What was deleted goes for good once its lock has ended.
resource "minio_ilm_policy" "backups" {
  count  = var.backups != null ? 1 : 0
  bucket = minio_s3_bucket_retention.backups[0].bucket

  rule {
    id         = "noncurrent"
    expiration = "DeleteMarker"

    noncurrent_expiration {
      days = "1d"
    }
  }
}

resource "minio_s3_bucket_server_side_encryption" "backups" {
  count           = var.backups != null && var.kms_key_id != null ? 1 : 0
  bucket          = minio_s3_bucket.backups[0].bucket
  encryption_type = "aws:kms"
  kms_key_id      = var.kms_key_id
}
