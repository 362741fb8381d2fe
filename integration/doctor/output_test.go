package doctor_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

var update = flag.Bool("update", false, "write what doctor prints into docs/doctor.md")

const document = "../../docs/doctor.md"

// diagnosis is what one run of doctor came to.
type diagnosis struct {
	*testing.T
	status         int
	stdout, stderr string
	verdicts       map[string]string // by check, the last one
}

// examine runs doctor. A machine that is busy may make a store slow for once.
func examine(t *testing.T, args ...string) *diagnosis {
	t.Helper()
	for tries := 0; ; tries++ {
		d := &diagnosis{T: t, verdicts: map[string]string{}}
		d.stdout, d.stderr, d.status = servers.Run(t, nil, append([]string{"doctor"}, args...)...)
		for _, line := range regexp.MustCompile(`(?m)^([a-z ]+?)  +(ok|warning|unfit|unread|skipped)  `).FindAllStringSubmatch(d.stdout, -1) {
			d.verdicts[line[1]] = line[2]
		}
		if slow := d.verdicts["latency"] == "warning"; !slow || tries == 4 {
			return d
		}
	}
}

// wants checks the exit status, and which checks were not ok, as "check: verdict".
func (d *diagnosis) wants(status int, others ...string) *diagnosis {
	d.Helper()
	want := map[string]bool{}
	for _, o := range others {
		want[o] = true
	}
	for check, verdict := range d.verdicts {
		if verdict != "ok" && verdict != "skipped" && !want[check+": "+verdict] {
			d.Errorf("%s is %s", check, verdict)
		}
		delete(want, check+": "+verdict)
	}
	for o := range want {
		d.Errorf("missing: %s", o)
	}
	if d.status != status {
		d.Errorf("status %d, want %d", d.status, status)
	}
	if d.Failed() {
		d.Fatalf("doctor said:\n%s%s", d.stdout, d.stderr)
	}
	return d
}

func (d *diagnosis) says(parts ...string) *diagnosis {
	d.Helper()
	for _, part := range parts {
		if !strings.Contains(d.stdout, part) {
			d.Errorf("no %q in:\n%s", part, d.stdout)
		}
	}
	return d
}

// What differs from run to run.
var changing = []struct {
	is *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`doctor([/-])[a-z2-7]{16}`), "doctor${1}RANDOM"},
	{regexp.MustCompile(`\.tmp-[A-Z2-7]+`), ".tmp-RANDOM"},
	{regexp.MustCompile(`RequestID: [^,]*, HostID: [^,]*, `), ""},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:9000"},
	{regexp.MustCompile(`\d+ tries in \S+:`), "… tries in …:"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(ms|µs)|\b\d+\.\d{2,}s\b|\b\d+\.\d+ ms`), "…"},
	{regexp.MustCompile(`release about [^;]*;`), "release about …;"},
	{regexp.MustCompile(`MEDIAN +1 IN 100 +`), "MEDIAN  1 IN 100  "},
	{regexp.MustCompile(`(?m)^(\w+ +)… +… +`), "${1}…       …         "},
}

// documented compares what was printed with its part of the document, or writes it there.
// Each pair of strings is a text that differs from run to run, and what stands for it.
func (d *diagnosis) documented(name string, replace ...string) {
	d.Helper()
	output := strings.NewReplacer(replace...).Replace(d.stdout)
	for _, c := range changing {
		output = c.is.ReplaceAllString(output, c.by)
	}
	if d.stderr != "" {
		output += strings.NewReplacer(replace...).Replace(d.stderr)
	}
	data, err := os.ReadFile(document)
	if err != nil {
		d.Fatal(err)
	}
	begin := fmt.Sprintf("<!-- %s -->\n```\n", name)
	const end = "```\n"
	before, rest, found := strings.Cut(string(data), begin)
	old, after, ended := strings.Cut(rest, end)
	switch {
	case !found || !ended:
		d.Fatalf("%s has no part %q", document, name)
	case *update:
		if err := os.WriteFile(document, []byte(before+begin+output+end+after), 0o644); err != nil {
			d.Fatal(err)
		}
	case old != output:
		d.Errorf("%s tells of %q:\n%s\nbut doctor printed:\n%s\nrun make doctor if that is right", document, name, old, output)
	}
}
