# One cell on a MinIO of one's own. Export MINIO_USER and MINIO_PASSWORD of an
# administrator of it, then: tofu init && tofu apply

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
  default     = "127.0.0.1:9000"
}

variable "tls" {
  description = "Whether MinIO speaks TLS. Without it anybody on the way reads everything: for trying out only."
  type        = bool
  default     = true
}

provider "minio" {
  minio_server = var.server
  minio_ssl    = var.tls
}

module "store" {
  source = "../.."

  bucket      = "scheduler-store"
  endpoint    = "${var.tls ? "https" : "http"}://${var.server}"
  cells       = ["cells/prod"]
  require_tls = var.tls
}

output "store_url" {
  description = "For scheduler-store serve --store."
  value       = module.store.store_urls["cells/prod"]
}

output "credentials" {
  description = "Keys of the users, by role."
  sensitive   = true
  value       = module.store.credentials["cells/prod"]
}
