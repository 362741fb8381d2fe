# One cell for daemons in an EKS cluster with the Pod Identity agent, and locked backups.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"
}

variable "bucket" {
  description = "Name of the bucket; such names are taken world-wide."
  type        = string
}

variable "cluster" {
  description = "Name of the EKS cluster."
  type        = string
}

provider "aws" {
  region = var.region
}

module "store" {
  source = "../.."

  bucket               = var.bucket
  region               = var.region
  cells                = ["cells/prod"]
  backups              = { bucket = "${var.bucket}-backups", days = 30 }
  pod_identity_cluster = var.cluster

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
