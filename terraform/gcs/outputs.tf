output "store_urls" {
  description = "The URL of each cell, for --store or schedulerstore.Open."
  value       = { for cell in var.cells : cell => "gs://${google_storage_bucket.this["cells"].name}/${cell}" }
}

output "backup_urls" {
  description = "The URL of each cell's backups, for --backups; empty without the variable backups."
  value       = var.backups == null ? {} : { for cell in var.cells : cell => "gs://${google_storage_bucket.this["backups"].name}/${cell}" }
}

output "policies" {
  description = "What each role may do, by cell and role: the conditions of the three custom roles, for the grants of a principal that is not made here."
  value = {
    for cell in var.cells : cell => {
      for role in local.roles : role => {
        for place in setproduct(keys(local.buckets), keys(local.permissions)) : join("/", place) => local.conditions["${place[0]}/${cell}/${role}/${place[1]}"]
        if contains(keys(local.conditions), "${place[0]}/${cell}/${role}/${place[1]}")
      }
    }
  }
}

output "role_names" {
  description = "The custom roles, by what they permit: read, create, delete."
  value       = { for key, role in google_project_iam_custom_role.this : key => role.name }
}

output "workload_members" {
  description = "The IAM member of each workload."
  value       = local.workload_members
}
