output "store_urls" {
  description = "The URL of each cell, for --store or schedulerstore.Open."
  value       = { for cell in var.cells : cell => "s3://${aws_s3_bucket.this["cells"].bucket}/${cell}?region=${var.region}" }
}

output "backup_urls" {
  description = "The URL of each cell's backups, for --backups; empty without the variable backups."
  value       = var.backups == null ? {} : { for cell in var.cells : cell => "s3://${aws_s3_bucket.this["backups"].bucket}/${cell}?region=${var.region}" }
}

output "policies" {
  description = "The ARN and document of each policy, by cell and role."
  value = {
    for cell in var.cells : cell => {
      for role in local.roles : role => { arn = aws_iam_policy.role["${cell}/${role}"].arn, document = local.policies["${cell}/${role}"].policy }
    }
  }
}

output "role_arns" {
  description = "The IAM role of each workload: for IRSA, its service account needs it as eks.amazonaws.com/role-arn."
  value       = { for name, role in aws_iam_role.workload : name => role.arn }
}
