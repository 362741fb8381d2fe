# What the tests apply: the module three times, so that each of its inputs is used.

terraform {
  required_version = ">= 1.9"

  required_providers {
    minio = {
      source  = "aminueza/minio"
      version = "~> 3.3"
    }
  }
}

variable "server" {
  description = "Host and port of MinIO."
  type        = string
}

variable "kms_key_id" {
  description = "Key of MinIO's KMS."
  type        = string
}

provider "minio" {
  minio_server = var.server
  minio_ssl    = false
}

module "usual" {
  source = "../terraform/minio"

  bucket      = "usual"
  endpoint    = "http://${var.server}"
  cells       = ["cells/one", "cells/matrix", "cells/other"]
  require_tls = false
  kms_key_id  = var.kms_key_id
  backups     = { bucket = "backups", days = 1 }
}

module "apart" {
  source = "../terraform/minio"

  bucket          = "apart"
  endpoint        = "http://${var.server}"
  cells           = ["cells/one", "cells/matrix", "cells/other"]
  require_tls     = false
  writer_collects = false
  noncurrent_days = 1
}

module "tls" {
  source = "../terraform/minio"

  bucket   = "only-tls"
  endpoint = "http://${var.server}"
  cells    = ["cells/one"]
}

output "store_urls" {
  value = { usual = module.usual.store_urls, apart = module.apart.store_urls }
}

output "backup_urls" {
  value = module.usual.backup_urls
}

output "credentials" {
  sensitive = true
  value     = { usual = module.usual.credentials, apart = module.apart.credentials, tls = module.tls.credentials }
}
