# What each role may do, by the layout of a cell in docs/protocol.md §2. Nobody may
# delete cell.json, lease.json or key/: nothing of the store ever does.

locals {
  roles = ["writer", "follower", "collector", "operator"]

  # Made once, by put-if-absent. A PUT without If-None-Match is not granted, so none of
  # these can be overwritten.
  created   = ["key/*", "log/*", "snapshot/*", "restore/*", "backup/*"]
  collected = ["log/*", "snapshot/*", "restore/*", "backup/*", "pin/*"]
  # The lease is replaced; cell.json never is, but each open tries it in vain, with a
  # wrong version, to see that the store honours conditions.
  replaced = ["cell.json", "lease.json"]

  creates = {
    writer    = local.created
    follower  = []
    collector = local.created # who collects holds the lease, and so has sealed and leads
    operator  = concat(local.created, ["pin/*"])
  }
  deletes = {
    writer    = var.writer_collects ? local.collected : []
    follower  = []
    collector = local.collected
    operator  = local.collected
  }

  names = [for bucket in local.buckets : bucket.name]

  policies = merge([
    for cell in var.cells : {
      for role in local.roles : "${cell}/${role}" => {
        cell = cell
        role = role
        name = "${var.bucket}-${replace(cell, "/", "-")}-${role}"
        policy = jsonencode({
          Version = "2012-10-17"
          Statement = concat(
            [
              {
                Sid      = "Read"
                Effect   = "Allow"
                Action   = ["s3:GetObject"]
                Resource = [for name in local.names : "${local.arn}${name}/${cell}/*"]
              },
              {
                # Also what makes S3 say 404, and not 403, of an object that is not there.
                Sid       = "List"
                Effect    = "Allow"
                Action    = ["s3:ListBucket"]
                Resource  = [for name in local.names : "${local.arn}${name}"]
                Condition = { StringLike = { "s3:prefix" = ["${cell}/*"] } }
              },
            ],
            [
              for statement in [
                {
                  Sid       = "Create"
                  Effect    = "Allow"
                  Action    = ["s3:PutObject"]
                  Resource  = local.resources["${cell}/${role}"].creates
                  Condition = { Null = { "s3:if-none-match" = "false" } }
                },
                {
                  Sid       = "CreateReplaceable"
                  Effect    = "Allow"
                  Action    = ["s3:PutObject"]
                  Resource  = [for key in local.replaced : "${local.arn}${var.bucket}/${cell}/${key}"]
                  Condition = { Null = { "s3:if-none-match" = "false" } }
                },
                {
                  Sid       = "Replace"
                  Effect    = "Allow"
                  Action    = ["s3:PutObject"]
                  Resource  = [for key in local.replaced : "${local.arn}${var.bucket}/${cell}/${key}"]
                  Condition = { Null = { "s3:if-match" = "false" } }
                },
              ] : statement if role != "follower"
            ],
            length(local.deletes[role]) == 0 ? [] : [
              {
                Sid      = "Delete"
                Effect   = "Allow"
                Action   = ["s3:DeleteObject"]
                Resource = local.resources["${cell}/${role}"].deletes
              },
            ],
            role != "operator" ? [] : [
              {
                Sid    = "Inspect"
                Effect = "Allow"
                Action = [
                  "s3:GetBucketLocation",
                  "s3:GetBucketObjectLockConfiguration",
                  "s3:GetBucketPolicyStatus",
                  "s3:GetBucketPublicAccessBlock",
                  "s3:GetBucketVersioning",
                  "s3:GetEncryptionConfiguration",
                  "s3:GetLifecycleConfiguration",
                ]
                Resource = [for name in local.names : "${local.arn}${name}"]
              },
            ],
            var.kms_key_arn == null ? [] : [
              {
                Sid      = "BucketKey"
                Effect   = "Allow"
                Action   = role == "follower" ? ["kms:Decrypt"] : ["kms:Decrypt", "kms:GenerateDataKey"]
                Resource = [var.kms_key_arn]
              },
            ],
            var.store_key_arn == null ? [] : [
              {
                Sid      = "StoreKey"
                Effect   = "Allow"
                Action   = role == "follower" ? ["kms:Decrypt"] : ["kms:Decrypt", "kms:Encrypt"]
                Resource = [var.store_key_arn]
              },
            ],
          )
        })
      }
    }
  ]...)

  # In the second bucket there are backups and their pins alone.
  resources = merge([
    for cell in var.cells : {
      for role in local.roles : "${cell}/${role}" => {
        creates = concat(
          [for key in local.creates[role] : "${local.arn}${var.bucket}/${cell}/${key}"],
          var.backups == null ? [] : [for key in local.creates[role] : "${local.arn}${var.backups.bucket}/${cell}/${key}" if contains(["backup/*", "pin/*"], key)],
        )
        deletes = concat(
          [for key in local.deletes[role] : "${local.arn}${var.bucket}/${cell}/${key}"],
          var.backups == null ? [] : [for key in local.deletes[role] : "${local.arn}${var.backups.bucket}/${cell}/${key}" if contains(["backup/*", "pin/*"], key)],
        )
      }
    }
  ]...)
}

resource "aws_iam_policy" "role" {
  for_each    = local.policies
  name        = each.value.name
  description = "scheduler-store: the ${each.value.role} of ${each.value.cell} in ${var.bucket}"
  policy      = each.value.policy
  tags        = var.tags
}
