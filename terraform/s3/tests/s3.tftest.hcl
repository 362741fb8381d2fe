# Plans and applies with a mocked provider: nothing here asks AWS. What is asserted is
# what the module writes, above all the policies; not that AWS does as they say.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  bucket = "store"
  region = "eu-west-1"
  cells  = ["cells/prod", "cells/test"]
}

run "usual" {
  assert {
    condition     = output.store_urls["cells/prod"] == "s3://store/cells/prod?region=eu-west-1"
    error_message = "The URL is not what --store wants: ${output.store_urls["cells/prod"]}"
  }

  assert {
    condition = alltrue([
      for b in aws_s3_bucket_public_access_block.this : b.block_public_acls && b.block_public_policy && b.ignore_public_acls && b.restrict_public_buckets
    ]) && length(aws_s3_bucket_public_access_block.this) == 1
    error_message = "Public access is not blocked."
  }

  assert {
    condition     = aws_s3_bucket_server_side_encryption_configuration.this["cells"].rule[0].apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "Objects are not encrypted."
  }

  assert {
    condition     = length(aws_s3_bucket_versioning.this) == 0 && length(aws_s3_bucket_object_lock_configuration.this) == 0 && !aws_s3_bucket.this["cells"].object_lock_enabled
    error_message = "Versioning, or a lock, is on: each renewal of a lease would be kept."
  }

  assert {
    condition     = [for s in jsondecode(aws_s3_bucket_policy.this["cells"].policy).Statement : [s.Effect, s.Principal, s.Action, s.Resource] if try(s.Condition.Bool["aws:SecureTransport"], "") == "false"] == [["Deny", "*", "s3:*", ["arn:aws:s3:::store", "arn:aws:s3:::store/*"]]]
    error_message = "Requests without TLS are not refused."
  }

  assert {
    condition     = [for r in aws_s3_bucket_lifecycle_configuration.this["cells"].rule : r.abort_incomplete_multipart_upload[0].days_after_initiation] == [1]
    error_message = "Incomplete uploads are not aborted after a day."
  }

  # The whole of what each role of a cell may do, action by action.
  assert {
    condition = jsonencode({
      for role, p in output.policies["cells/prod"] : role => distinct(flatten([for s in jsondecode(p.document).Statement : s.Action]))
      }) == jsonencode({
      writer    = ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:DeleteObject"]
      follower  = ["s3:GetObject", "s3:ListBucket"]
      collector = ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:DeleteObject"]
      operator = ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:DeleteObject", "s3:GetBucketLocation", "s3:GetBucketObjectLockConfiguration",
      "s3:GetBucketPolicyStatus", "s3:GetBucketPublicAccessBlock", "s3:GetBucketVersioning", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration"]
    })
    error_message = "A role may do more, or less."
  }

  # Every object that is named lies in the cell, and the listing is bound to it.
  assert {
    condition = alltrue(flatten([for cell, roles in output.policies : [for p in roles : [for s in jsondecode(p.document).Statement : [
      for resource in s.Resource : startswith(resource, "arn:aws:s3:::store/${cell}/") || resource == "arn:aws:s3:::store"
    ]]]]))
    error_message = "A policy names an object outside its cell."
  }

  assert {
    condition = alltrue(flatten([for cell, roles in output.policies : [for p in roles : [
      for s in jsondecode(p.document).Statement : s.Condition == { StringLike = { "s3:prefix" = ["${cell}/*"] } } && s.Resource == ["arn:aws:s3:::store"] if contains(s.Action, "s3:ListBucket")
    ]]]))
    error_message = "A listing is not bound to the cell's prefix."
  }

  # No object but cell.json and lease.json can be put over another, and those only by
  # compare-and-swap.
  assert {
    condition = alltrue(flatten([for roles in output.policies : [for p in roles : [
      for s in jsondecode(p.document).Statement : s.Condition == { Null = { "s3:if-none-match" = "false" } } ||
      (s.Condition == { Null = { "s3:if-match" = "false" } } && alltrue([for r in s.Resource : endswith(r, "/lease.json") || endswith(r, "/cell.json")]))
      if contains(s.Action, "s3:PutObject")
    ]]]))
    error_message = "An object can be overwritten."
  }

  # What nobody may delete: without the lease epochs start again, without a key's object
  # nothing can be read, without cell.json there is no cell.
  assert {
    condition = [for s in jsondecode(output.policies["cells/prod"].operator.document).Statement : s.Resource if contains(s.Action, "s3:DeleteObject")] == [[
      for key in ["log", "snapshot", "restore", "backup", "pin"] : "arn:aws:s3:::store/cells/prod/${key}/*"
    ]]
    error_message = "Even the operator may delete garbage, backups and pins alone."
  }
}

run "writer_that_does_not_collect" {
  variables {
    writer_collects = false
  }

  assert {
    condition     = !strcontains(output.policies["cells/prod"].writer.document, "Delete") && strcontains(output.policies["cells/prod"].collector.document, "s3:DeleteObject")
    error_message = "The writer may delete, or the collector may not."
  }
}

run "versions_keys_and_locked_backups" {
  variables {
    noncurrent_days = 2
    kms_key_arn     = "arn:aws:kms:eu-west-1:111122223333:key/bucket"
    store_key_arn   = "arn:aws:kms:eu-west-1:111122223333:key/store"
    backups         = { bucket = "locked", days = 30, mode = "COMPLIANCE" }
  }

  assert {
    condition     = output.backup_urls["cells/prod"] == "s3://locked/cells/prod?region=eu-west-1"
    error_message = "The URL is not what --backups wants."
  }

  assert {
    condition = alltrue(flatten([for key, days in { cells = 2, backups = 1 } : [
      aws_s3_bucket_versioning.this[key].versioning_configuration[0].status == "Enabled",
      [for r in aws_s3_bucket_lifecycle_configuration.this[key].rule : r.noncurrent_version_expiration[0].noncurrent_days if length(r.noncurrent_version_expiration) > 0] == [days],
    ]]))
    error_message = "A bucket with versions keeps those that are not current."
  }

  # No rule has a time after which what is live would go.
  assert {
    condition = alltrue(flatten([for b in aws_s3_bucket_lifecycle_configuration.this : [for r in b.rule : [
      for e in r.expiration : e.expired_object_delete_marker && coalesce(e.days, 0) == 0 && coalesce(e.date, "none") == "none"
    ]]]))
    error_message = "A life-cycle rule touches live objects."
  }

  assert {
    condition     = aws_s3_bucket.this["backups"].object_lock_enabled && !aws_s3_bucket.this["cells"].object_lock_enabled
    error_message = "The lock is on the wrong bucket."
  }

  assert {
    condition     = [for r in aws_s3_bucket_object_lock_configuration.this["backups"].rule[0].default_retention : [r.mode, r.days]] == [["COMPLIANCE", 30]]
    error_message = "Backups are not locked for 30 days."
  }

  assert {
    condition = alltrue(flatten([for b in aws_s3_bucket_server_side_encryption_configuration.this : [
      b.rule[0].bucket_key_enabled, b.rule[0].apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms",
      b.rule[0].apply_server_side_encryption_by_default[0].kms_master_key_id == "arn:aws:kms:eu-west-1:111122223333:key/bucket"
    ]]))
    error_message = "The KMS key is not used."
  }

  assert {
    condition = jsonencode({
      for role, p in output.policies["cells/prod"] : role => flatten([for s in jsondecode(p.document).Statement : s.Action if endswith(s.Sid, "Key")])
      }) == jsonencode({
      follower  = ["kms:Decrypt", "kms:Decrypt"]
      writer    = ["kms:Decrypt", "kms:GenerateDataKey", "kms:Decrypt", "kms:Encrypt"]
      collector = ["kms:Decrypt", "kms:GenerateDataKey", "kms:Decrypt", "kms:Encrypt"]
      operator  = ["kms:Decrypt", "kms:GenerateDataKey", "kms:Decrypt", "kms:Encrypt"]
    })
    error_message = "A role may do more with a key, or less."
  }

  # In the second bucket there are backups and pins alone.
  assert {
    condition = toset(flatten([for s in jsondecode(output.policies["cells/prod"].operator.document).Statement : [
      for resource in s.Resource : resource if startswith(resource, "arn:aws:s3:::locked/") && s.Sid != "Read"
    ]])) == toset(["arn:aws:s3:::locked/cells/prod/backup/*", "arn:aws:s3:::locked/cells/prod/pin/*"])
    error_message = "More than backups can be written to their bucket."
  }
}

run "workloads" {
  variables {
    irsa                 = { provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/X", issuer = "oidc.eks.eu-west-1.amazonaws.com/id/X" }
    pod_identity_cluster = "main"
    workloads = {
      scheduler = { cell = "cells/prod", role = "writer", namespace = "scheduler", service_account = "store" }
    }
  }

  assert {
    condition = jsondecode(aws_iam_role.workload["scheduler"].assume_role_policy).Statement[0].Condition == { StringEquals = {
      "oidc.eks.eu-west-1.amazonaws.com/id/X:aud" = "sts.amazonaws.com"
      "oidc.eks.eu-west-1.amazonaws.com/id/X:sub" = "system:serviceaccount:scheduler:store"
    } }
    error_message = "Another service account of the cluster could assume the role."
  }

  assert {
    condition = jsondecode(aws_iam_role.workload["scheduler"].assume_role_policy).Statement[1].Condition == { StringEquals = {
      "aws:RequestTag/kubernetes-namespace"       = "scheduler"
      "aws:RequestTag/kubernetes-service-account" = "store"
      "aws:RequestTag/eks-cluster-name"           = "main"
    } }
    error_message = "Another service account could get the role by Pod Identity."
  }

  assert {
    condition     = aws_iam_role_policy_attachment.workload["scheduler"].policy_arn == aws_iam_policy.role["cells/prod/writer"].arn
    error_message = "The workload has another policy."
  }

  assert {
    condition     = [for a in aws_eks_pod_identity_association.workload : [a.cluster_name, a.namespace, a.service_account]] == [["main", "scheduler", "store"]]
    error_message = "The association is of another service account."
  }
}

run "cell_below_a_cell" {
  command = plan

  variables {
    cells = ["cells/prod", "cells/prod/log"]
  }

  expect_failures = [var.cells]
}

run "cell_with_a_wildcard" {
  command = plan

  variables {
    cells = ["cells/*"]
  }

  expect_failures = [var.cells]
}

run "workload_that_nobody_could_assume" {
  command = plan

  variables {
    workloads = { scheduler = { cell = "cells/prod", role = "writer", namespace = "scheduler", service_account = "store" } }
  }

  expect_failures = [var.workloads]
}

run "workload_with_a_wildcard" {
  command = plan

  variables {
    pod_identity_cluster = "main"
    workloads            = { scheduler = { cell = "cells/prod", role = "writer", namespace = "*", service_account = "store" } }
  }

  expect_failures = [var.workloads]
}
