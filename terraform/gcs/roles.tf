# What each role may do, by the layout of a cell in docs/protocol.md §2. There are three
# custom roles of a few permissions each, and each grant of one has a condition that
# names the keys. Nobody may delete key/: nothing of the store ever does.

locals {
  roles = ["writer", "follower", "collector", "operator"]

  written   = ["cell.json", "lease.json", "key/", "log/", "snapshot/", "restore/", "backup/"]
  collected = ["cell.json", "lease.json", "log/", "snapshot/", "restore/", "backup/", "pin/"]

  # To replace an object needs storage.objects.delete on it, so the lease must have it.
  # That a put-if-absent of a key that is taken is answered with 412, and not 403, to who
  # may not delete is not documented: so who writes may delete here, and the writer is
  # not told apart from the collector.
  keys = {
    writer    = { create = local.written, delete = local.collected }
    follower  = { create = [], delete = [] }
    collector = { create = local.written, delete = local.collected }
    operator  = { create = concat(local.written, ["pin/"]), delete = local.collected }
  }

  permissions = {
    read   = ["storage.objects.get", "storage.objects.list"]
    create = ["storage.objects.create"]
    delete = ["storage.objects.delete"]
  }

  workload_members = {
    for name, w in var.workloads : name =>
    "principal://iam.googleapis.com/projects/${data.google_project.workloads[0].number}/locations/global/workloadIdentityPools/${coalesce(var.workload_project, var.project)}.svc.id.goog/subject/ns/${w.namespace}/sa/${w.service_account}"
  }

  # Each member of each role of each cell: those given, and the workloads. The names are
  # known before anything is made; the project's number, in the members, is not.
  holders = merge(
    merge([
      for cell, roles in var.members : merge([
        for role, members in roles : { for member in members : "${cell}/${role}/${member}" => { cell = cell, role = role, member = member } }
      ]...)
    ]...),
    { for name, w in var.workloads : "${w.cell}/${w.role}/workload:${name}" => { cell = w.cell, role = w.role, member = local.workload_members[name] } },
  )

  objects = { for key, bucket in local.buckets : key => "projects/_/buckets/${bucket.name}/objects" }

  # The conditions, by "<bucket>/<cell>/<role>/<permissions>". In the second bucket there
  # are backups and their pins alone.
  conditions = merge(flatten([
    for bucket, objects in local.objects : [
      for cell in var.cells : [
        for role in local.roles : merge(
          {
            "${bucket}/${cell}/${role}/read" = join(" || ", [
              "resource.name.startsWith(\"${objects}/${cell}/\")",
              "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"${cell}/\")",
            ])
          },
          {
            for action, keys in local.keys[role] : "${bucket}/${cell}/${role}/${action}" => join(" || ", [
              for key in keys : endswith(key, "/") ? "resource.name.startsWith(\"${objects}/${cell}/${key}\")" : "resource.name == \"${objects}/${cell}/${key}\""
              if bucket == "cells" || contains(["backup/", "pin/"], key)
            ])
            if length(keys) > 0
          },
        )
      ]
    ]
  ])...)

  grants = merge([
    for id, holder in local.holders : {
      for place in setproduct(keys(local.buckets), keys(local.permissions)) : "${place[0]}/${id}/${place[1]}" => {
        bucket    = place[0]
        member    = holder.member
        role      = place[1]
        title     = "${holder.role} of ${holder.cell}: ${place[1]}"
        condition = local.conditions["${place[0]}/${holder.cell}/${holder.role}/${place[1]}"]
      } if contains(keys(local.conditions), "${place[0]}/${holder.cell}/${holder.role}/${place[1]}")
    }
  ]...)
}

data "google_project" "workloads" {
  count      = length(var.workloads) > 0 ? 1 : 0
  project_id = coalesce(var.workload_project, var.project)
}

resource "google_project_iam_custom_role" "this" {
  for_each    = local.permissions
  project     = var.project
  role_id     = "${var.role_prefix}.${each.key}"
  title       = "scheduler-store ${each.key}"
  permissions = each.value
}

resource "google_storage_bucket_iam_member" "this" {
  for_each = local.grants
  bucket   = google_storage_bucket.this[each.value.bucket].name
  role     = google_project_iam_custom_role.this[each.value.role].name
  member   = each.value.member

  condition {
    title      = each.value.title
    expression = each.value.condition
  }
}

# The daemons' own key, of --key: a follower only decrypts.
resource "google_kms_crypto_key_iam_member" "store" {
  for_each      = var.store_key_id != null ? local.holders : {}
  crypto_key_id = var.store_key_id
  role          = each.value.role == "follower" ? "roles/cloudkms.cryptoKeyDecrypter" : "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value.member
}
