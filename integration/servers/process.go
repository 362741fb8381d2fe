package servers

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// Process is a process of a test. It does not outlive the test, not even one that
// panics.
type Process struct {
	*os.Process
	t     testing.TB
	ended chan struct{}
}

// StartProcess starts a command, whose output goes where the caller says.
func StartProcess(t testing.TB, c *exec.Cmd) *Process {
	t.Helper()
	endWithThread(c)
	p := &Process{t: t, ended: make(chan struct{})}
	started := make(chan error)
	go func() { // ends with the process
		defer close(p.ended)
		runtime.LockOSThread() // the process is bound to this thread
		defer runtime.UnlockOSThread()
		err := c.Start()
		started <- err
		if err == nil {
			_, _ = c.Process.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	p.Process = c.Process
	t.Cleanup(p.Kill)
	return p
}

// KeepLog keeps what a command will say on its standard error, to show it if the test
// fails.
func KeepLog(t testing.TB, c *exec.Cmd) {
	log := &lockedBuffer{}
	c.Stderr = log
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what a process said:\n%s", log)
		}
	})
}

// Signal sends a signal to the process, if it is still there.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	<-p.ended
}

// Ended is closed when the process is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }
