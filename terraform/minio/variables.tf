variable "bucket" {
  description = "Name of the bucket, which is made."
  type        = string
}

variable "endpoint" {
  description = "URL at which the daemons reach MinIO, such as https://minio.example.org:9000."
  type        = string

  validation {
    condition     = can(regex("^https?://[^/?#@]+$", var.endpoint))
    error_message = "The endpoint is a URL of scheme, host and port alone, such as https://minio.example.org:9000."
  }
}

variable "region" {
  description = "Region that MinIO says it is in."
  type        = string
  default     = "us-east-1"
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

variable "require_tls" {
  description = "Refuse every request that is not over TLS, whoever sends it."
  type        = bool
  default     = true
}

variable "writer_collects" {
  description = "Whether the writer may delete garbage and old backups, as a leader does by itself. If not, run the daemons with --gc-every 0 and --backup-every 0, and collect with the collector's credentials; see the README."
  type        = bool
  default     = true
}

variable "noncurrent_days" {
  description = "Days for which what was replaced or deleted is kept: 0 leaves versioning off."
  type        = number
  default     = 0

  validation {
    condition     = var.noncurrent_days >= 0 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "A whole number of days, or 0 for no versioning."
  }
}

variable "kms_key_id" {
  description = "Key of MinIO's KMS that encrypts the objects (SSE-KMS). MinIO must have a KMS. Null leaves encryption to the server's own setting, and to scheduler-store's --key."
  type        = string
  default     = null
}

variable "backups" {
  description = "A second bucket for backups that nobody can delete, or overwrite for good, for so many days. COMPLIANCE binds the root user too; GOVERNANCE can be lifted by who has s3:BypassGovernanceRetention. Null makes none."
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

variable "users" {
  description = "Make a user for each cell and role, with a secret that MinIO draws. The secrets are then in the state. False: attach the policies to users, groups or OpenID claims of your own."
  type        = bool
  default     = true
}
