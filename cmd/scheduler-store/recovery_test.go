package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// answers is a server that answers as told, and notes what it was asked.
type answers struct {
	*httptest.Server
	asked []string
}

func answering(t *testing.T, handle http.HandlerFunc) *answers {
	a := &answers{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.asked = append(a.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), body)))
		handle(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func problem(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// What each command asks.
func TestRecoveryRequests(t *testing.T) {
	a := answering(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == "DELETE" && strings.HasSuffix(r.URL.Path, "/tasks"):
			_, _ = io.WriteString(w, `{"deleted":3}`)
		case strings.HasSuffix(r.URL.Path, "/tasks"):
			_, _ = io.WriteString(w, `{"tasks":[`+taskJSON("task-a", "RUNNING")+`],"total":1}`)
		case strings.HasSuffix(r.URL.Path, "/commit"):
			_, _ = io.WriteString(w, `{"transaction":9,"position":8,"epoch":7}`)
		case r.Method == "DELETE":
			w.WriteHeader(http.StatusNoContent)
		default:
			_, _ = io.WriteString(w, `{"name":"b1","transaction":4,"counts":{"tasks":2}}`)
		}
	})
	tokens := writeFile(t, filepath.Join(t.TempDir(), "tokens"), "secret-1\nsecret-2\n")
	for _, c := range []struct {
		args             []string
		asks, text, json string
	}{
		{[]string{"stage", "b1"}, `POST /v1/recovery Bearer secret-1 {"backup":"b1"}`, "b1", `"name": "b1"`},
		{[]string{"show"}, `GET /v1/recovery Bearer secret-1`, "b1", `"tasks": 2`},
		{[]string{"tasks"}, `GET /v1/recovery/tasks?limit=0&offset=0 Bearer secret-1`, "www/prod/hello", `"taskId":"task-a"`},
		{[]string{"tasks", "--role", "www", "--job", "a/b/c", "--job", "a/b/d", "--status", "LOST", "--limit", "5"},
			`GET /v1/recovery/tasks?job=a%2Fb%2Fc&job=a%2Fb%2Fd&limit=5&offset=0&role=www&status=LOST Bearer secret-1`, "task-a", `"total":1`},
		{[]string{"delete-tasks", "--host", "h1", "--id", "x", "--instance", "3", "--environment", "prod"},
			`DELETE /v1/recovery/tasks?environment=prod&host=h1&id=x&instance=3 Bearer secret-1`, "deleted 3 tasks", `"deleted": 3`},
		{[]string{"delete-tasks", "--role", ""}, `DELETE /v1/recovery/tasks?role= Bearer secret-1`, "", ""}, // for the API to refuse
		{[]string{"delete-tasks", "--all"}, `DELETE /v1/recovery/tasks?all=true Bearer secret-1`, "deleted 3", `"deleted": 3`},
		{[]string{"commit"}, `POST /v1/recovery/commit Bearer secret-1`, "transaction 9, position 8, epoch 7", `"epoch": 7`},
		{[]string{"unload"}, `DELETE /v1/recovery Bearer secret-1`, "no backup is staged", `"staged": false`},
	} {
		for form, want := range map[string]string{"text": c.text, "json": c.json} {
			a.asked = nil
			args := append([]string{"recovery", "--server", a.URL + "/", "--token-file", tokens, "--output", form}, c.args...)
			o := program(t, args...).wants(exitOK).prints(want)
			if form == "json" {
				o.json()
			}
			if len(a.asked) != 1 || a.asked[0] != c.asks {
				t.Errorf("%q asked %q, want %q", c.args, a.asked, c.asks)
			}
		}
	}
}

// A daemon that follows sends on to the leader: once.
func TestRecoveryFollowsTheLeader(t *testing.T) {
	leader := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"name":"b1"}`) })
	sendOn := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", to+r.URL.RequestURI())
			problem(503, `{"detail":"this process follows"}`)(w, r)
		}
	}
	follower := answering(t, sendOn(leader.URL))
	program(t, "recovery", "stage", "b1", "--server", follower.URL).wants(exitOK).prints("b1")
	if len(leader.asked) != 1 || leader.asked[0] != `POST /v1/recovery  {"backup":"b1"}` {
		t.Errorf("the leader was asked %q", leader.asked)
	}
	lost := answering(t, sendOn(follower.URL))
	program(t, "recovery", "show", "--server", lost.URL).wants(exitError).says("this process follows")
	if len(leader.asked) != 1 {
		t.Errorf("sent on more than once: %q", leader.asked)
	}
	// No token goes elsewhere by other ways, nor in the clear.
	moved := answering(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, leader.URL, http.StatusFound) })
	program(t, "recovery", "show", "--server", moved.URL).wants(exitError).says("302")
	c := &connection{}
	for base, locations := range map[string]map[string]bool{
		"https://a": {"https://b/v1": true, "http://b/v1": false, "ftp://b": false, "/v1": false},
		"http://a":  {"https://b/v1": true, "http://b/v1": true, "//b/v1": false},
	} {
		c.base = mustParse(t, base)
		for location, want := range locations {
			if _, err := c.sentOn(location); (err == nil) != want {
				t.Errorf("from %s to %s: %v", base, location, err)
			}
		}
	}
	if len(leader.asked) != 1 {
		t.Errorf("the leader was asked %q", leader.asked)
	}
}

func TestRecoveryProblems(t *testing.T) {
	ended := httptest.NewServer(http.NotFoundHandler())
	ended.Close()
	program(t, "recovery", "show", "--server", ended.URL).wants(exitError).says("is a daemon there?")
	for _, c := range []struct {
		handle http.HandlerFunc
		says   string
	}{
		{problem(404, `{"detail":"No backup loaded."}`), "scheduler-store: No backup loaded.\n"},
		{problem(503, `{"detail":"nobody leads"}`), "nobody leads"},
		{problem(504, `{"detail":"it is not known","outcome":"unknown"}`), "outcome unknown: it is not known"},
		{problem(500, `oops`), "500 Internal Server Error"},
		{problem(400, `{"detail":"two\nlines"}`), "two; lines"},
		{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, "502 Bad Gateway"},
		{func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `<html>`) }, "read the answer"},
	} {
		a := answering(t, c.handle)
		program(t, "recovery", "commit", "--server", a.URL).wants(exitError).says(c.says)
	}
	cut := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"tasks":[`+taskJSON("task-a", "RUNNING"))
	})
	program(t, "recovery", "tasks", "--server", cut.URL).wants(exitError).says("cut off").prints("task-a")
}

func TestRecoveryMistakes(t *testing.T) {
	empty := writeFile(t, filepath.Join(t.TempDir(), "empty"), "\n")
	for _, args := range [][]string{
		{"stage"}, {"stage", "a", "b"}, {"show", "a"}, {"commit", "a"}, {"unload", "a"}, {"tasks", "--limit", "-1"},
		{"delete-tasks"}, {"delete-tasks", "--all", "--role", "www"}, {"delete-tasks", "www"},
		{"show", "--server", "127.0.0.1:8410"}, {"show", "--server", "http://u:hush@host"}, {"show", "--server", "http://host?token=hush"}, {"show", "--server", "%zz"},
	} {
		o := program(t, append([]string{"recovery"}, args...)...).wants(exitUsage)
		if strings.Contains(o.stderr, "hush") {
			t.Errorf("a secret was printed: %s", o.stderr)
		}
	}
	program(t, "recovery", "show", "--token-file", empty).wants(exitError).says("--token-file", "there are none")
	program(t, "recovery", "show", "--token-file", "missing").wants(exitError).says("--token-file")
	program(t, "recovery", "show", "--ca-cert", empty).wants(exitError).says("no certificate")

	// What is deleted is chosen by flags only, never by what is in the environment.
	t.Setenv("SCHEDULER_STORE_HOST", "h1")
	t.Setenv("SCHEDULER_STORE_ALL", "true")
	program(t, "recovery", "delete-tasks").wants(exitUsage).says("no filter is given")
	a := answering(t, problem(418, `{"detail":"asked"}`))
	t.Setenv("SCHEDULER_STORE_SERVER", a.URL)
	program(t, "recovery", "show").wants(exitError).says("asked")
}

// A whole recovery, with a daemon.
func TestRecoveryOfADaemon(t *testing.T) {
	directory := filled(t)
	program(t, "--store", directory, "backup", "create", "before").wants(exitOK)
	d := startDaemon(t, "--store", directory).leads()
	d.save("later")
	do := func(args ...string) *outcome {
		t.Helper()
		return program(t, append([]string{"recovery", "--server", d.url}, args...)...)
	}
	do("show").wants(exitError).says("No backup loaded.")
	do("stage", "missing").wants(exitError).says("Backup missing does not exist.")
	do("stage", "before").wants(exitOK).prints("before")
	do("stage", "before").wants(exitError).says("Another backup is already loaded.")
	do("tasks").wants(exitOK).prints("task-a", "task-b")
	do("tasks", "--status", "GONE").wants(exitError).says("GONE")
	do("delete-tasks", "--role", " ").wants(exitError).says("has no value")
	do("delete-tasks", "--status", "RUNNING").wants(exitOK).prints("deleted 1 tasks")
	do("commit").wants(exitOK).prints("the staged backup is the state: transaction 9")
	d.leads()
	if got := d.tasks(); got != "task-a" {
		t.Errorf("tasks are %s", got)
	}
	do("unload").wants(exitOK)
	do("unload").wants(exitOK)
	program(t, "--store", directory, "log", "verify").wants(exitOK)
	entry := program(t, "--store", directory, "log", "ls", "--limit", "2", "--output", "json").wants(exitOK).json()
	wantAt(t, entry, "restore", "entries", 1, "kind")
	position := fmt.Sprint(at(t, entry, "entries", 1, "position"))
	shown := program(t, "--store", directory, "log", "show", position, "--output", "json").wants(exitOK).json()
	if at(t, shown, "restore", "folder") == nil {
		t.Errorf("the entry shows no state: %v", shown)
	}
	program(t, "--store", directory, "log", "show", position).wants(exitOK).prints("restored state")
}
