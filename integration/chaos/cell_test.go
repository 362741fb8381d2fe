package chaos_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// leaseTTL is the shortest there is.
const leaseTTL = 3 * time.Second

// slot is where one daemon runs. One that ends is started again, as a supervisor would.
type slot struct {
	t     testing.TB
	name  string
	link  *link
	store string // the store's URL, through link
	log   *os.File

	mu      sync.Mutex
	daemon  *daemon // nil between two
	starts  int
	ending  bool
	crashes []string
	ended   chan struct{} // the supervisor has returned
}

// daemon is one start of a slot's process.
type daemon struct {
	*servers.Process
	name   string // such as b#2
	url    string // empty until it listens
	doomed bool   // it is ended on purpose
	frozen bool
}

// startSlot starts a daemon, and keeps it running until the slot is ended.
func startSlot(t testing.TB, name string, l *link, store, folder string) *slot {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(folder, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s := &slot{t: t, name: name, link: l, store: store, log: log, ended: make(chan struct{})}
	go s.supervise(servers.Binary(t))
	return s
}

// restartPause is the supervisor's.
const restartPause = 50 * time.Millisecond

func (s *slot) supervise(binary string) {
	defer close(s.ended)
	defer s.log.Close()
	for {
		d, stdout := s.start(binary)
		if d == nil {
			return
		}
		s.listens(d, stdout)
		<-d.Ended()
		_ = stdout.Close() // read to its end
		s.gone(d)
		time.Sleep(restartPause)
	}
}

// start starts the process, unless the slot is to end.
func (s *slot) start(binary string) (*daemon, io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return nil, nil
	}
	s.starts++
	d := &daemon{name: fmt.Sprintf("%s#%d", s.name, s.starts)}
	fmt.Fprintf(s.log, "--- %s starts at %s\n", d.name, time.Now().UTC().Format(time.RFC3339Nano))
	// Housekeeping is asked for from outside, so that it comes as often as is wanted. What
	// the leader does by itself it would not do within seconds.
	c := exec.Command(binary, "serve", "--store", s.store, "--listen", "127.0.0.1:0", "--host", s.name, "--lease-ttl", leaseTTL.String(),
		"--snapshot-every", "7s", "--gc-every", "0", "--backup-every", "0", "--rehearse", "0", "--keep-snapshots", "2", "--window", "0", "--grace", "0")
	c.Stderr = s.log
	stdout, err := c.StdoutPipe()
	if err != nil {
		s.t.Error(err)
		return nil, nil
	}
	d.Process = servers.StartProcess(s.t, c)
	s.daemon = d
	return d, stdout
}

// listens notes where the daemon listens, once it does.
func (s *slot) listens(d *daemon, stdout io.Closer) {
	line, _ := bufio.NewReader(stdout.(io.Reader)).ReadString('\n')
	if url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on "); ok {
		s.mu.Lock()
		d.url = url
		s.mu.Unlock()
	}
}

// gone notes that a daemon has ended. One that ends by itself has crashed, unless it did
// not start yet: without the store it can't.
func (s *slot) gone(d *daemon) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.daemon = nil
	if !d.doomed && d.url != "" {
		s.crashes = append(s.crashes, d.name)
	}
}

// running is the daemon that there is, its URL empty if it does not listen yet.
func (s *slot) running() (d *daemon, url string, frozen bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.daemon == nil {
		return nil, "", false
	}
	return s.daemon, s.daemon.url, s.daemon.frozen
}

// doom has the daemon end on purpose; nil if there is none.
func (s *slot) doom() *daemon {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.daemon != nil {
		s.daemon.doomed = true
	}
	return s.daemon
}

// kill ends the daemon as a crash would. It tells whether there was one.
func (s *slot) kill() bool {
	d := s.doom()
	if d == nil {
		return false
	}
	d.Kill()
	return true
}

// freeze stops the process, and the function that it returns lets it go on.
func (s *slot) freeze() (thaw func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.daemon
	if d == nil {
		return func() {}
	}
	d.frozen = true
	d.Signal(syscall.SIGSTOP)
	return func() {
		d.Signal(syscall.SIGCONT)
		s.mu.Lock()
		defer s.mu.Unlock()
		d.frozen = false
	}
}

// terminate ends the daemon in peace.
func (s *slot) terminate() {
	if d := s.doom(); d != nil {
		d.Signal(syscall.SIGTERM)
	}
}

// end ends the slot.
func (s *slot) end() {
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	s.kill()
	<-s.ended
}
