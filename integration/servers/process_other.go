//go:build !linux

package servers

import "os/exec"

// endWithThread does nothing: only Linux can do it.
func endWithThread(*exec.Cmd) {}
