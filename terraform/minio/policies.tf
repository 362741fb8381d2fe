# What each role may do, by the layout of a cell in docs/protocol.md §2. Nobody may
# delete cell.json, lease.json or key/: nothing of the store ever does.

locals {
  roles = ["writer", "follower", "collector", "operator"]

  written   = ["cell.json", "lease.json", "key/*", "log/*", "snapshot/*", "restore/*", "backup/*"]
  collected = ["log/*", "snapshot/*", "restore/*", "backup/*", "pin/*"]

  puts = {
    writer    = local.written
    follower  = []
    collector = local.written # who collects holds the lease, and so has sealed and leads
    operator  = concat(local.written, ["pin/*"])
  }
  deletes = {
    writer    = var.writer_collects ? local.collected : []
    follower  = []
    collector = local.collected
    operator  = local.collected
  }

  # In the second bucket there are backups and their pins alone.
  holders = { for key in setunion(local.written, local.collected) : key => contains(["backup/*", "pin/*"], key) ? local.buckets : [var.bucket] }

  buckets = concat([var.bucket], var.backups != null ? [var.backups.bucket] : [])

  # One map for each cell and role, by "<cell>/<role>".
  grants = merge([
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
                Resource = [for bucket in local.buckets : "arn:aws:s3:::${bucket}/${cell}/*"]
              },
              {
                Sid       = "List"
                Effect    = "Allow"
                Action    = ["s3:ListBucket"]
                Resource  = [for bucket in local.buckets : "arn:aws:s3:::${bucket}"]
                Condition = { StringLike = { "s3:prefix" = ["${cell}/*"] } }
              },
            ],
            [
              for sid, grant in local.changes["${cell}/${role}"] : {
                Sid      = sid
                Effect   = "Allow"
                Action   = [grant.action]
                Resource = grant.resources
              } if length(grant.resources) > 0
            ],
            [
              for secure in ["false"] : {
                Sid       = "RefusePlainHTTP"
                Effect    = "Deny"
                Action    = ["s3:*"]
                Resource  = flatten([for bucket in local.buckets : ["arn:aws:s3:::${bucket}", "arn:aws:s3:::${bucket}/*"]])
                Condition = { Bool = { "aws:SecureTransport" = secure } }
              } if var.require_tls
            ],
          )
        })
      }
    }
  ]...)

  changes = merge([
    for cell in var.cells : {
      for role in local.roles : "${cell}/${role}" => {
        Write  = { action = "s3:PutObject", resources = flatten([for key in local.puts[role] : [for bucket in local.holders[key] : "arn:aws:s3:::${bucket}/${cell}/${key}"]]) }
        Delete = { action = "s3:DeleteObject", resources = flatten([for key in local.deletes[role] : [for bucket in local.holders[key] : "arn:aws:s3:::${bucket}/${cell}/${key}"]]) }
      }
    }
  ]...)
}

resource "minio_iam_policy" "role" {
  for_each = local.grants
  name     = each.value.name
  policy   = each.value.policy
}

resource "minio_iam_user" "role" {
  for_each = var.users ? local.grants : {}
  name     = each.value.name
}

resource "minio_iam_user_policy_attachment" "role" {
  for_each    = minio_iam_user.role
  user_name   = each.value.name
  policy_name = minio_iam_policy.role[each.key].name
}
