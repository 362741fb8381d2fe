# The buckets: that of the cells, and one for locked backups if there is to be one.
# Object lock needs versions, and locks whatever is written, the lease too: so locked
# backups lie in a bucket of their own.

data "aws_partition" "current" {}

locals {
  arn = "arn:${data.aws_partition.current.partition}:s3:::"

  buckets = merge(
    { cells = { name = var.bucket, lock = null, noncurrent_days = var.noncurrent_days } },
    var.backups == null ? {} : { backups = { name = var.backups.bucket, lock = var.backups, noncurrent_days = 1 } },
  )
}

resource "aws_s3_bucket" "this" {
  for_each            = local.buckets
  bucket              = each.value.name
  force_destroy       = var.force_destroy
  object_lock_enabled = each.value.lock != null
  tags                = var.tags
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each                = aws_s3_bucket.this
  bucket                  = each.value.bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = aws_s3_bucket.this
  bucket   = each.value.bucket

  rule {
    object_ownership = "BucketOwnerEnforced" # no ACLs
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = aws_s3_bucket.this
  bucket   = each.value.bucket

  rule {
    bucket_key_enabled = var.kms_key_arn != null # or each PUT is a request to KMS

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn != null ? "aws:kms" : "AES256"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = { for key, bucket in local.buckets : key => bucket if bucket.lock != null || bucket.noncurrent_days > 0 }
  bucket   = aws_s3_bucket.this[each.key].bucket

  versioning_configuration {
    status = "Enabled"
  }
}

# Nothing here expires a current version: what is live, only the leader can judge.
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].bucket

  rule {
    id     = "incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  dynamic "rule" {
    for_each = contains(keys(aws_s3_bucket_versioning.this), each.key) ? [each.value.noncurrent_days] : []

    content {
      id     = "noncurrent"
      status = "Enabled"

      filter {}

      expiration {
        expired_object_delete_marker = true
      }

      noncurrent_version_expiration {
        noncurrent_days = rule.value
      }
    }
  }
}

resource "aws_s3_bucket_object_lock_configuration" "this" {
  for_each = { for key, bucket in local.buckets : key => bucket.lock if bucket.lock != null }
  bucket   = aws_s3_bucket_versioning.this[each.key].bucket

  rule {
    default_retention {
      mode = each.value.mode
      days = each.value.days
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = aws_s3_bucket.this
  bucket   = each.value.bucket

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "RefusePlainHTTP"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = ["${local.arn}${local.buckets[each.key].name}", "${local.arn}${local.buckets[each.key].name}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "RefuseOldTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = ["${local.arn}${local.buckets[each.key].name}", "${local.arn}${local.buckets[each.key].name}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.this] # two changes of one bucket at once are refused
}
