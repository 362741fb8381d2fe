output "store_urls" {
  description = "The URL of each cell, for --store or schedulerstore.Open."
  value = {
    for cell in var.cells : cell => "s3://${minio_s3_bucket.cells.bucket}/${cell}?endpoint=${urlencode(var.endpoint)}&region=${var.region}&use_path_style=true"
  }
}

output "backup_urls" {
  description = "The URL of each cell's backups, for --backups; empty without the variable backups."
  value = var.backups == null ? {} : {
    for cell in var.cells : cell => "s3://${minio_s3_bucket.backups[0].bucket}/${cell}?endpoint=${urlencode(var.endpoint)}&region=${var.region}&use_path_style=true"
  }
}

output "policies" {
  description = "The name and document of each policy, by cell and role."
  value = {
    for cell in var.cells : cell => {
      for role in local.roles : role => { name = minio_iam_policy.role["${cell}/${role}"].name, document = local.grants["${cell}/${role}"].policy }
    }
  }
}

output "credentials" {
  description = "Access key and secret key of each user, by cell and role; empty if users is false."
  sensitive   = true
  value = {
    for cell in var.cells : cell => {
      for role in local.roles : role => {
        access_key = minio_iam_user.role["${cell}/${role}"].name
        secret_key = minio_iam_user.role["${cell}/${role}"].secret
      }
    } if var.users
  }
}
