package deploy

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

const units = root + "/deploy/systemd"

// systemd's own tool finds nothing wrong in the unit, with its drop-in, and little that it
// leaves open.
func TestUnit(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze")
	}
	directory := t.TempDir()
	unit, err := os.ReadFile(units + "/scheduler-store.service")
	if err != nil {
		t.Fatal(err)
	}
	dropIn, err := os.ReadFile(units + "/tokens.conf")
	if err != nil {
		t.Fatal(err)
	}
	// The tool looks for the program.
	const program = "/usr/local/bin/scheduler-store"
	if !strings.Contains(string(unit), "\nExecStart="+program+" serve\n") {
		t.Fatal("the unit starts something else")
	}
	file := filepath.Join(directory, "scheduler-store.service")
	if err := os.Mkdir(file+".d", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		file:                    strings.Replace(string(unit), program, servers.Binary(t), 1),
		file + ".d/tokens.conf": string(dropIn),
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if said := runIn(t, ".", nil, tool, "verify", "--man=no", "--recursive-errors=no", file); said != "" {
		t.Error(said)
	}
	// In tenths; 1.2 when this was written, with a network and the host's own files.
	said := runIn(t, ".", nil, tool, "security", "--offline=true", "--no-pager", "--threshold=13", file)
	for line := range strings.Lines(said) {
		if strings.Contains(line, "Overall exposure") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

var flagVariable = regexp.MustCompile(`\[\$(SCHEDULER_STORE_[A-Z_]+)\]`)

// Each variable in the examples is one of a flag, and the daemon starts with them.
func TestEnvironmentFiles(t *testing.T) {
	help, _, status := servers.Run(t, nil, "serve", "--help")
	if status != 0 {
		t.Fatal(help)
	}
	known := map[string]bool{"GOMEMLIMIT": true, "AWS_ACCESS_KEY_ID": true, "AWS_SECRET_ACCESS_KEY": true}
	for _, match := range flagVariable.FindAllStringSubmatch(help, -1) {
		known[match[1]] = true
	}
	for _, name := range []string{"directory.env", "bucket.env", "tokens.conf"} {
		variables := variablesIn(t, name)
		if len(variables) == 0 {
			t.Errorf("%s sets nothing", name)
		}
		for variable := range variables {
			if !known[variable] {
				t.Errorf("%s: %s is the variable of no flag", name, variable)
			}
		}
	}

	// What the unit's state directory and its credentials are here.
	directory := t.TempDir()
	tokens := filepath.Join(directory, "tokens")
	if err := os.WriteFile(tokens, []byte("a-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, changed := range map[string]map[string]string{
		"directory.env": {"SCHEDULER_STORE_URL": filepath.Join(directory, "cell"), "SCHEDULER_STORE_LISTEN": "127.0.0.1:0"},
		"bucket.env":    {"SCHEDULER_STORE_URL": "mem://bucket", "SCHEDULER_STORE_LISTEN": ":0", "SCHEDULER_STORE_TOKEN_FILE": tokens},
	} {
		variables := variablesIn(t, name)
		for variable, value := range changed {
			variables[variable] = value
		}
		c := exec.Command(servers.Binary(t), "serve")
		for variable, value := range variables {
			c.Env = append(c.Env, variable+"="+value)
		}
		d := servers.StartServing(t, c)
		if host, port, ok := strings.Cut(strings.TrimPrefix(d.URL, "http://"), ":"); ok && host != "127.0.0.1" {
			d.URL = "http://127.0.0.1:" + port
		}
		d.WaitFor("/leaderz", http.StatusOK)
	}
}

// variablesIn are those that a file of deploy/systemd sets.
func variablesIn(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(units, name))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "Environment=")
		if variable, value, ok := strings.Cut(line, "="); ok && line[0] != '#' && variable == strings.ToUpper(variable) {
			all[variable] = value
		}
	}
	return all
}
