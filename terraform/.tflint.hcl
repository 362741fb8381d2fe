plugin "terraform" {
  enabled = true
  preset  = "all"
}

# The examples are one file each, to be read from top to bottom.
rule "terraform_standard_module_structure" {
  enabled = false
}
