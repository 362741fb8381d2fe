// Package deploy tests what is below deploy/ without a container engine or a cluster: the
// steps of the Containerfile are carried out for real, and the daemon started in the tree
// that they leave; releases are made twice and compared; the pods of the manifests run as
// processes in that tree, and a rollout of them is played while clients write; the units
// are judged by systemd's own tool. Each needs root for chroot, and is skipped without.
//
// The manifests themselves are checked in integration/tools/manifests.
package deploy
