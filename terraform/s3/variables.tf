variable "bucket" {
  description = "Name of the bucket, which is made."
  type        = string
}

variable "region" {
  description = "Region of the bucket, for the stores' URLs; that of the provider."
  type        = string
}

variable "cells" {
  description = "Prefixes of the cells in the bucket, such as cells/prod, without a slash at either end. Each gets its own policies."
  type        = set(string)

  validation {
    condition     = length(var.cells) > 0 && alltrue([for cell in var.cells : can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", cell))])
    error_message = "There is one cell at least, and each is words of letters, digits, '.', '_' and '-' with a slash between two."
  }

  validation {
    condition     = alltrue([for cell in var.cells : alltrue([for other in var.cells : !startswith(other, "${cell}/")])])
    error_message = "No cell can lie below another: the policies of the one would hold for the other too."
  }

  validation {
    condition     = length(distinct([for cell in var.cells : replace(cell, "/", "-")])) == length(var.cells)
    error_message = "Two cells have the same name once each '/' is a '-'; the policies are named by that."
  }
}

variable "writer_collects" {
  description = "Whether the writer may delete garbage and old backups, as a leader does by itself. If not, run the daemons with --gc-every 0 and --backup-every 0, and collect with the collector's credentials; see the README."
  type        = bool
  default     = true
}

variable "noncurrent_days" {
  description = "Days for which what was replaced or deleted is kept: 0 leaves versioning off. Each day of it keeps some 17,000 old leases of each cell."
  type        = number
  default     = 0

  validation {
    condition     = var.noncurrent_days >= 0 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "A whole number of days, or 0 for no versioning."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the objects (SSE-KMS, with a bucket key). Null: S3's own keys (SSE-S3)."
  type        = string
  default     = null
}

variable "store_key_arn" {
  description = "ARN of the KMS key that the daemons use by themselves, with --key awskms:///ARN: then S3 never sees the contents. Null: the roles may use none."
  type        = string
  default     = null
}

variable "backups" {
  description = "A second bucket for backups that nobody can delete, or overwrite for good, for so many days. COMPLIANCE binds the account's root too; GOVERNANCE can be lifted by who has s3:BypassGovernanceRetention. Null makes none."
  type = object({
    bucket = string
    days   = number
    mode   = optional(string, "GOVERNANCE")
  })
  default = null

  validation {
    condition     = var.backups == null || try(var.backups.days >= 1 && contains(["GOVERNANCE", "COMPLIANCE"], var.backups.mode), false)
    error_message = "Days are 1 at least, and the mode is GOVERNANCE or COMPLIANCE."
  }
}

variable "workloads" {
  description = "Kubernetes service accounts that get an IAM role with the policy of a cell's role: writer, follower, collector or operator."
  type = map(object({
    cell            = string
    role            = string
    namespace       = string
    service_account = string
  }))
  default = {}

  validation {
    condition     = alltrue([for w in var.workloads : contains(["writer", "follower", "collector", "operator"], w.role) && contains(var.cells, w.cell)])
    error_message = "The role is writer, follower, collector or operator, and the cell is one of var.cells."
  }

  validation {
    condition     = length(var.workloads) == 0 || var.irsa != null || var.pod_identity_cluster != null
    error_message = "Workloads need var.irsa or var.pod_identity_cluster: without, nobody could assume their roles."
  }

  validation {
    # a '*' would be taken literally by StringEquals, and is always a mistake
    condition     = alltrue([for w in var.workloads : can(regex("^[a-z0-9-]+$", w.namespace)) && can(regex("^[a-z0-9.-]+$", w.service_account))])
    error_message = "Namespace and service account are names, without wildcards."
  }
}

variable "irsa" {
  description = "OpenID Connect provider of an EKS cluster, for IAM roles for service accounts: its ARN, and its issuer without https://."
  type = object({
    provider_arn = string
    issuer       = string
  })
  default = null

  validation {
    condition     = var.irsa == null || try(!startswith(var.irsa.issuer, "https://"), false)
    error_message = "The issuer is without https://, as it is in the condition keys of a trust policy."
  }
}

variable "pod_identity_cluster" {
  description = "Name of the EKS cluster whose Pod Identity agent gives the workloads their roles."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Let destroy delete buckets that still have objects."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
}
