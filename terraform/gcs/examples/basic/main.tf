# One cell for daemons in a GKE cluster with workload identity, and backups that are kept.

terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.0"
    }
  }
}

variable "project" {
  description = "Id of the project."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket; such names are taken world-wide."
  type        = string
}

variable "location" {
  description = "Location of the bucket: the region of the cluster."
  type        = string
  default     = "EUROPE-WEST1"
}

provider "google" {
  project = var.project
}

module "store" {
  source = "../.."

  project  = var.project
  bucket   = var.bucket
  location = var.location
  cells    = ["cells/prod"]
  backups  = { bucket = "${var.bucket}-backups", days = 30 }

  workloads = {
    scheduler = { cell = "cells/prod", role = "writer", namespace = "scheduler", service_account = "scheduler-store" }
    reports   = { cell = "cells/prod", role = "follower", namespace = "reports", service_account = "reports" }
  }
}

output "store_url" {
  description = "For scheduler-store serve --store."
  value       = module.store.store_urls["cells/prod"]
}

output "backup_url" {
  description = "For scheduler-store serve --backups."
  value       = module.store.backup_urls["cells/prod"]
}
