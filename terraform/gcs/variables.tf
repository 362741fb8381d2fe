variable "project" {
  description = "Id of the project that the bucket and the custom roles are made in."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket, which is made."
  type        = string
}

variable "location" {
  description = "Location of the bucket, such as EUROPE-WEST1: the region of the daemons, as every commit waits for it."
  type        = string
}

variable "cells" {
  description = "Prefixes of the cells in the bucket, such as cells/prod, without a slash at either end."
  type        = set(string)

  validation {
    condition     = length(var.cells) > 0 && alltrue([for cell in var.cells : can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", cell))])
    error_message = "There is one cell at least, and each is words of letters, digits, '.', '_' and '-' with a slash between two."
  }

  validation {
    condition     = alltrue([for cell in var.cells : alltrue([for other in var.cells : !startswith(other, "${cell}/")])])
    error_message = "No cell can lie below another: what is granted on the one would hold for the other too."
  }
}

variable "members" {
  description = "Who has which role, by cell and role (writer, follower, collector, operator), as IAM members such as serviceAccount:… or group:…."
  type        = map(map(set(string)))
  default     = {}

  validation {
    condition     = alltrue([for cell, roles in var.members : contains(var.cells, cell) && alltrue([for role in keys(roles) : contains(["writer", "follower", "collector", "operator"], role)])])
    error_message = "Each cell is one of var.cells, and each role is writer, follower, collector or operator."
  }

  validation {
    condition     = alltrue(flatten([for roles in var.members : [for members in roles : [for member in members : !contains(["allUsers", "allAuthenticatedUsers"], member)]]]))
    error_message = "Nothing here is for allUsers or allAuthenticatedUsers."
  }
}

variable "workloads" {
  description = "Kubernetes service accounts of GKE clusters with workload identity that get a role of a cell, without a Google service account between."
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
    condition     = alltrue([for w in var.workloads : can(regex("^[a-z0-9-]+$", w.namespace)) && can(regex("^[a-z0-9.-]+$", w.service_account))])
    error_message = "Namespace and service account are names, without wildcards."
  }
}

variable "workload_project" {
  description = "Project of the GKE clusters of the workloads. Null: var.project."
  type        = string
  default     = null
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

variable "kms_key_id" {
  description = "Cloud KMS key that encrypts the objects (CMEK), as projects/P/locations/L/keyRings/R/cryptoKeys/K; the service agent of Cloud Storage is let use it. Null: Google's own keys."
  type        = string
  default     = null
}

variable "store_key_id" {
  description = "Cloud KMS key that the daemons use by themselves, with --key gcpkms://KEY: then Cloud Storage never sees the contents. Null: the roles may use none."
  type        = string
  default     = null
}

variable "backups" {
  description = "A second bucket for backups that nobody can delete or overwrite for so many days. Locked is for ever: the time can then only grow, and the bucket can't be deleted before. Null makes none."
  type = object({
    bucket = string
    days   = number
    locked = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.backups == null || try(var.backups.days >= 1, false)
    error_message = "Days are 1 at least."
  }
}

variable "role_prefix" {
  description = "Beginning of the custom roles' ids; they are the project's, so two uses of this module in one project need two."
  type        = string
  default     = "schedulerStore"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.]{3,50}$", var.role_prefix))
    error_message = "Letters, digits, '_' and '.' alone, 3 to 50 of them."
  }
}

variable "force_destroy" {
  description = "Let destroy delete buckets that still have objects."
  type        = bool
  default     = false
}

variable "labels" {
  description = "Labels of the buckets."
  type        = map(string)
  default     = {}
}
