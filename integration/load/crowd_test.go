package load

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/servers"
	"github.com/scheduler-store/scheduler-store/internal/evidence"
)

// crowd is connections that do no good.
type crowd struct {
	*testing.T
	address string
	open    []net.Conn
}

// connect opens n connections, and sends the same on each. They are never read.
func (c *crowd) connect(n int, sent string) {
	c.Helper()
	for range n {
		connection, err := net.Dial("tcp", c.address)
		if err != nil {
			c.Fatal(err)
		}
		_ = connection.(*net.TCPConn).SetReadBuffer(4 << 10) // the kernel takes little for it
		c.open = append(c.open, connection)
		if _, err := io.WriteString(connection, sent); err != nil {
			c.Fatal(err)
		}
	}
}

func (c *crowd) leave() {
	for _, connection := range c.open {
		_ = connection.Close()
	}
}

// TestCrowd: thousands of connections whose clients send half a header, or half a body,
// ask and do not read, or watch. Others are served as if they were not there, memory is
// bounded, and those that hold connections for nothing are cut off.
func TestCrowd(t *testing.T) {
	d := servers.StartDaemon(t, "file://"+t.TempDir(), "--backup-every", "0")
	d.WaitFor("/leaderz", http.StatusOK)
	client := ask(t)
	fill(t, client, d.URL) // an answer that does not fit into what the kernel keeps
	before := latency(t, client, d.URL, "before")
	files := must(t, d, openFiles)

	kinds := []struct {
		name  string
		n     int
		sent  string
		stays bool // for as long as it likes
	}{
		{"half a header", 500, "GET /v1/tasks HTTP/1.1\r\nHost: x\r\nX-A: ", false},
		{"half a body", 500, "POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"ops\":[", false},
		{"a long list, not read", 300, "GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n", false},
		{"metrics again and again, not read", 100, strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200), false},
		{"watches", 1000, "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n", true},
	}
	table := evidence.Table{Title: "A crowd that does no good", Header: []string{"what", "connections", "commit before", "commit meanwhile", "MB"}}
	for _, kind := range kinds {
		c := &crowd{T: t, address: strings.TrimPrefix(d.URL, "http://")}
		c.connect(kind.n, kind.sent)
		time.Sleep(time.Second) // until the daemon has come to them
		healthy(t, d)
		meanwhile, memory := latency(t, client, d.URL, kind.name), must(t, d, resident)/1e6
		t.Logf("%s: a commit takes %v, before %v; %.0f MB, %v files", kind.name, meanwhile, before, memory, must(t, d, openFiles))
		if meanwhile > 4*before+250*time.Millisecond || memory > 1000 {
			t.Errorf("%s: a commit takes %v, before %v; %.0f MB", kind.name, meanwhile, before, memory)
		}
		// A minute is what a whole request may take; those that ask again and again are
		// answered until no more fits into what the kernel keeps.
		if !kind.stays && soaked() {
			eventually(t, d, files, 3*time.Minute, kind.name+": cut off")
		}
		c.leave()
		eventually(t, d, files, 20*time.Second, kind.name+": gone")
		table.Add(kind.name, kind.n, before, meanwhile, int(memory))
	}
	keep(table)
}

// fill saves tasks of some megabytes together.
func fill(t *testing.T, client *http.Client, url string) {
	t.Helper()
	for i := range 8 {
		var tasks []string
		for j := range 1000 {
			text := string(save(fmt.Sprintf("%d-%d-%s", i, j, strings.Repeat("x", 200)), j))
			text = strings.TrimPrefix(text, `{"ops":[{"saveTasks":{"tasks":[`)
			tasks = append(tasks, strings.TrimSuffix(text, `]}}]}`))
		}
		body := `{"ops":[{"saveTasks":{"tasks":[` + strings.Join(tasks, ",") + `]}}]}`
		answer, err := client.Post(url+"/v1/transactions", "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatal(answer.Status)
		}
	}
}

// eventually waits until the daemon has about as many files open as before.
func eventually(t *testing.T, d *servers.Daemon, files float64, most time.Duration, what string) {
	t.Helper()
	start := time.Now()
	for must(t, d, openFiles) > files+20 {
		if time.Since(start) > most {
			t.Errorf("%s: after %v %v files are open, %v were before", what, most, must(t, d, openFiles), files)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%s after %v", what, time.Since(start).Round(100*time.Millisecond))
}
