package servers

import (
	"os/exec"
	"syscall"
)

// endWithThread has the kernel kill the process when the thread that starts it
// ends: not even a test that panics leaves a server behind.
func endWithThread(command *exec.Cmd) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
