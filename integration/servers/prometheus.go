package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Promtool is the tool that comes with Prometheus: the one that make built, or else the
// system's. It skips the test if there is none.
func Promtool(t testing.TB) string { return findOrSkip(t, "promtool") }

func findOrSkip(t testing.TB, name string) string {
	t.Helper()
	path, err := built(".cache/bin/" + name)
	if err != nil {
		path, err = exec.LookPath(name)
	}
	if err != nil {
		t.Skipf("there is no %s: make observability-test builds it, or install the system's package prometheus", name)
	}
	return path
}

// Prometheus is a Prometheus server in a process of its own.
type Prometheus struct {
	*Process
	t   testing.TB
	URL string
}

// StartPrometheus starts a Prometheus that scrapes daemons as the targets of one job, each
// second, and evaluates rules as often. It skips the test if there is no Prometheus.
func StartPrometheus(t testing.TB, job string, rules string, daemons ...*Daemon) *Prometheus {
	t.Helper()
	binary := findOrSkip(t, "prometheus")
	directory, address := t.TempDir(), freeAddress(t)
	var targets []string
	for _, d := range daemons {
		targets = append(targets, strings.TrimPrefix(d.URL, "http://"))
	}
	list, err := json.Marshal(targets)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(directory, "prometheus.yaml")
	text := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n- job_name: %s\n  static_configs:\n  - targets: %s\n", rules, job, list)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(binary, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(directory, "data"), "--web.listen-address="+address, "--log.level=warn")
	KeepLog(t, c)
	p := &Prometheus{Process: StartProcess(t, c), t: t, URL: "http://" + address}
	waitUntil(t, "Prometheus", func(ctx context.Context) error {
		select {
		case <-p.Ended():
			t.Fatal("Prometheus ended; its log says why")
		default:
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/-/ready", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
	return p
}

// API asks Prometheus's API, and puts the data of its answer into data.
func (p *Prometheus) API(path string, parameters url.Values, data any) error {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.URL+"/api/v1/"+path+"?"+parameters.Encode(), nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		return err
	}
	if err := json.Unmarshal(body.Bytes(), &answer); err != nil {
		return fmt.Errorf("%s: %w", response.Status, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// Sample is one series with its newest value.
type Sample struct {
	Metric map[string]string
	Value  [2]any // when, and what, in decimal
}

// Query evaluates an expression now.
func (p *Prometheus) Query(expr string) ([]Sample, error) {
	var data struct{ Result []Sample }
	err := p.API("query", url.Values{"query": {expr}, "time": {fmt.Sprintf("%.3f", float64(time.Now().UnixMilli())/1000)}}, &data)
	return data.Result, err
}
