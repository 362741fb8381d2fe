// Package manifests checks the manifests of deploy/kubernetes without a cluster: they are
// rendered by Kustomize, read into the types of the Kubernetes API with nothing left over,
// held against the restricted pod security standard by its own library, and against each
// other and the command that they start. It has a module of its own for what it needs.
package manifests
