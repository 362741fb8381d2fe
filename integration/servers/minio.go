package servers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// binaryVariable names a MinIO binary to use instead of the one that make built.
const binaryVariable = "SCHEDULER_STORE_MINIO"

// MinIO is a MinIO server in a process of its own, with one drive.
type MinIO struct {
	S3
	t       testing.TB
	binary  string
	address string
	data    string // the drive
	certs   string // the directory of its certificate; empty if it has none
	log     string

	mu      sync.Mutex
	process *os.Process // nil while it does not run
	ended   chan struct{}
}

// StartMinIO starts MinIO, and waits until it answers. It fails the test if
// there is no MinIO.
func StartMinIO(t testing.TB) *MinIO {
	t.Helper()
	return startMinIO(t, nil)
}

// StartSecureMinIO starts MinIO with TLS, and a certificate of an authority for 127.0.0.1
// and other names.
func StartSecureMinIO(t testing.TB, authority *Authority, names ...string) *MinIO {
	t.Helper()
	return startMinIO(t, func(m *MinIO) {
		m.certs = authority.Certificate(names...)
		m.Endpoint, m.http = "https://"+m.address, authority.Client()
	})
}

func startMinIO(t testing.TB, change func(*MinIO)) *MinIO {
	t.Helper()
	binary, err := findMinIO()
	if err != nil {
		t.Fatal(err)
	}
	directory, address := t.TempDir(), freeAddress(t)
	m := &MinIO{
		S3: newS3(address), t: t, binary: binary, address: address,
		data: filepath.Join(directory, "data"), log: filepath.Join(directory, "minio.log"),
	}
	if change != nil {
		change(m)
	}
	m.start()
	t.Cleanup(func() {
		m.Kill()
		if t.Failed() {
			if data, err := os.ReadFile(m.log); err == nil && len(data) > 0 {
				t.Logf("what MinIO said:\n%s", data)
			}
		}
	})
	m.waitReady()
	return m
}

// Kill ends the process at once, as a crash would, and waits until it is gone.
func (m *MinIO) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process == nil {
		return
	}
	if err := m.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		m.t.Errorf("kill MinIO: %v", err)
	}
	<-m.ended
	m.process = nil
}

// Restart starts the process again after Kill, with the same data at the same
// address, and waits until it answers.
func (m *MinIO) Restart() {
	m.t.Helper()
	m.start()
	m.waitReady()
}

func (m *MinIO) start() {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process != nil {
		m.t.Fatal("MinIO runs already")
	}
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	command := exec.Command(m.binary, "server", "--quiet", "--address", m.address, m.data)
	if m.certs != "" {
		command.Args = append(command.Args, "--certs-dir", m.certs)
	}
	command.Env = append(os.Environ(), "MINIO_ROOT_USER="+m.AccessKey, "MINIO_ROOT_PASSWORD="+m.SecretKey,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME="+filepath.Dir(m.log))
	command.Stdout, command.Stderr = log, log
	endWithThread(command)
	started, ended := make(chan error), make(chan struct{})
	go func() { // ends with the process, which Kill ends
		defer close(ended)
		defer log.Close()
		runtime.LockOSThread() // the process is bound to this thread
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait() // it is killed, always
		}
	}()
	if err := <-started; err != nil {
		m.t.Fatalf("start MinIO: %v", err)
	}
	m.process, m.ended = command.Process, ended
}

func (m *MinIO) waitReady() {
	m.t.Helper()
	waitUntil(m.t, "MinIO", func(ctx context.Context) error {
		for _, path := range []string{"/minio/health/ready", "/minio/health/live"} {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Endpoint+path, nil)
			if err != nil {
				return err
			}
			response, err := m.http.Do(request)
			if err != nil {
				return err
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				return fmt.Errorf("%s: %s", path, response.Status)
			}
		}
		return nil
	})
}

func findMinIO() (string, error) {
	if path := os.Getenv(binaryVariable); path != "" {
		return path, nil
	}
	path, err := built(".cache/bin/minio")
	if err != nil {
		return "", fmt.Errorf("%w: run make servers, or name one with %s", err, binaryVariable)
	}
	return path, nil
}

// beganIn is the folder of the test. While versitygw runs, the process is elsewhere.
var beganIn, errBeganIn = os.Getwd()

// built is a file that make has built, below the project's root, which is above
// any test.
func built(name string) (string, error) {
	directory, err := beganIn, errBeganIn
	if err != nil {
		return "", err
	}
	for !isFile(filepath.Join(directory, "integration", "tools", "minio", "go.mod")) {
		parent := filepath.Dir(directory)
		if parent == directory {
			return "", errors.New("not inside the project")
		}
		directory = parent
	}
	path := filepath.Join(directory, name)
	if !isFile(path) {
		return "", fmt.Errorf("there is no %s", path)
	}
	return path, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
