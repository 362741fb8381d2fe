# Plans and applies with a mocked provider: nothing here asks Google. What is asserted is
# what the module writes, above all who is granted what; not that Google does as it says.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "42" }
  }

  mock_data "google_storage_project_service_account" {
    defaults = { member = "serviceAccount:agent" }
  }
}

variables {
  project  = "p"
  bucket   = "store"
  location = "EUROPE-WEST1"
  cells    = ["cells/prod", "cells/test"]
  members = {
    "cells/prod" = {
      writer   = ["serviceAccount:writer"]
      follower = ["serviceAccount:follower"]
      operator = ["group:operators"]
    }
  }
}

run "usual" {
  assert {
    condition     = output.store_urls["cells/prod"] == "gs://store/cells/prod"
    error_message = "The URL is not what --store wants."
  }

  assert {
    condition     = google_storage_bucket.this["cells"].public_access_prevention == "enforced" && google_storage_bucket.this["cells"].uniform_bucket_level_access
    error_message = "Public access, or access by ACLs, is possible."
  }

  assert {
    condition     = google_storage_bucket.this["cells"].soft_delete_policy[0].retention_duration_seconds == 0 && !google_storage_bucket.this["cells"].versioning[0].enabled && length(google_storage_bucket.this["cells"].retention_policy) == 0
    error_message = "Each renewal of a lease would be kept, or could not be made."
  }

  assert {
    condition     = [for r in google_storage_bucket.this["cells"].lifecycle_rule : [r.action[0].type, r.condition[0].age]] == [["AbortIncompleteMultipartUpload", 1]]
    error_message = "Incomplete uploads are not aborted after a day, or there is another rule."
  }

  assert {
    condition     = { for key, role in google_project_iam_custom_role.this : key => role.permissions } == { read = toset(["storage.objects.get", "storage.objects.list"]), create = toset(["storage.objects.create"]), delete = toset(["storage.objects.delete"]) }
    error_message = "A custom role permits more, or less."
  }

  # Who has what: a follower reads, and nobody has anything in the other cell.
  assert {
    condition = toset([for id, grant in google_storage_bucket_iam_member.this : "${grant.member} ${reverse(split("/", id))[0]}"]) == toset([
      "serviceAccount:writer read", "serviceAccount:writer create", "serviceAccount:writer delete",
      "serviceAccount:follower read",
      "group:operators read", "group:operators create", "group:operators delete",
    ])
    error_message = "Somebody is granted more, or less."
  }

  # Each alternative of each condition is one key or one folder of the cell; a listing
  # is bound to the cell.
  assert {
    condition = alltrue(flatten([for grant in google_storage_bucket_iam_member.this : [
      for alternative in split(" || ", grant.condition[0].expression) :
      startswith(alternative, "resource.name.startsWith(\"projects/_/buckets/store/objects/cells/prod/") ||
      startswith(alternative, "resource.name == \"projects/_/buckets/store/objects/cells/prod/") ||
      alternative == "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"cells/prod/\")"
    ]]))
    error_message = "A grant reaches outside the cell."
  }

  assert {
    condition     = alltrue([for grant in google_storage_bucket_iam_member.this : length(split(" || ", grant.condition[0].expression)) <= 13])
    error_message = "IAM takes 12 logical operators in a condition at most."
  }

  assert {
    condition = alltrue([
      for id, grant in google_storage_bucket_iam_member.this : !strcontains(grant.condition[0].expression, "/key/") && strcontains(grant.condition[0].expression, "lease.json") if endswith(id, "/delete")
    ])
    error_message = "A key may be deleted, or the lease can't be replaced."
  }

  assert {
    condition     = !strcontains(output.policies["cells/prod"].writer["cells/create"], "/pin/") && strcontains(output.policies["cells/prod"].operator["cells/create"], "/pin/")
    error_message = "Pins are the operator's."
  }
}

run "versions_keys_and_kept_backups" {
  variables {
    noncurrent_days = 2
    kms_key_id      = "projects/p/locations/l/keyRings/r/cryptoKeys/bucket"
    store_key_id    = "projects/p/locations/l/keyRings/r/cryptoKeys/store"
    backups         = { bucket = "kept", days = 30, locked = true }
  }

  assert {
    condition     = [for r in google_storage_bucket.this["cells"].lifecycle_rule : [r.condition[0].with_state, r.condition[0].days_since_noncurrent_time] if r.action[0].type == "Delete"] == [["ARCHIVED", 2]]
    error_message = "What is not current stays, or a rule touches live objects."
  }

  assert {
    condition     = [for r in google_storage_bucket.this["backups"].retention_policy : [r.retention_period, r.is_locked]] == [[30 * 86400, true]] && length(google_storage_bucket.this["cells"].retention_policy) == 0
    error_message = "Backups are not kept for 30 days, or the log is."
  }

  assert {
    condition     = alltrue([for b in google_storage_bucket.this : b.encryption[0].default_kms_key_name == "projects/p/locations/l/keyRings/r/cryptoKeys/bucket"]) && google_kms_crypto_key_iam_member.storage[0].member == "serviceAccount:agent"
    error_message = "The KMS key is not used, or Cloud Storage may not use it."
  }

  assert {
    condition = { for id, m in google_kms_crypto_key_iam_member.store : m.member => m.role } == {
      "serviceAccount:writer"   = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
      "group:operators"         = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
      "serviceAccount:follower" = "roles/cloudkms.cryptoKeyDecrypter"
    }
    error_message = "A role may do more with the key, or less."
  }

  assert {
    condition     = output.policies["cells/prod"].writer["backups/create"] == "resource.name.startsWith(\"projects/_/buckets/kept/objects/cells/prod/backup/\")"
    error_message = "More than backups can be written to their bucket."
  }
}

run "workloads" {
  variables {
    members   = {}
    workloads = { scheduler = { cell = "cells/prod", role = "follower", namespace = "scheduler", service_account = "store" } }
  }

  assert {
    condition     = [for grant in google_storage_bucket_iam_member.this : grant.member] == ["principal://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/p.svc.id.goog/subject/ns/scheduler/sa/store"]
    error_message = "The grant is not that one service account's."
  }
}

run "everybody" {
  command = plan

  variables {
    members = { "cells/prod" = { follower = ["allUsers"] } }
  }

  expect_failures = [var.members]
}

run "cell_below_a_cell" {
  command = plan

  variables {
    cells   = ["cells/prod", "cells/prod/log"]
    members = {}
  }

  expect_failures = [var.cells]
}
