package deploy

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// instruction is one of a Containerfile.
type instruction struct {
	name  string
	flags []string // --from=build
	rest  string
}

// parseContainerfile knows what ours has: comments, continued lines, flags.
func parseContainerfile(text string) (all []instruction) {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	for _, line := range strings.Split(strings.ReplaceAll(strings.Join(lines, "\n"), "\\\n", ""), "\n") {
		name, rest, _ := strings.Cut(line, " ")
		i := instruction{name: name, rest: strings.TrimSpace(rest)}
		for strings.HasPrefix(i.rest, "--") {
			flag, more, _ := strings.Cut(i.rest, " ")
			i.flags, i.rest = append(i.flags, flag), strings.TrimSpace(more)
		}
		all = append(all, i)
	}
	return all
}

// image is a stage of a build, or what it leaves.
type image struct {
	root    string // the directory that stands for /
	scratch bool
	workdir string
	args    map[string]string
	user    string
	entry   []string
	command []string
}

// build carries out a Containerfile, and returns its last stage. An image that a stage
// begins with is this machine: its RUNs see the machine's own files and tools, and paths
// below the WORKDIR are those of the stage. Cache mounts are the machine's own caches.
func build(file, context, scratch string, given map[string]string) (*image, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var (
		global = map[string]string{} // ARGs before the first stage
		stages = map[string]*image{}
		stage  *image
	)
	for _, i := range parseContainerfile(string(text)) {
		if i.name != "FROM" && i.name != "ARG" && stage == nil {
			return nil, fmt.Errorf("%s before FROM", i.name)
		}
		switch i.name {
		case "ARG":
			name, value, _ := strings.Cut(i.rest, "=")
			if v, ok := given[name]; ok {
				value = v
			}
			if stage == nil {
				global[name] = value
			} else {
				stage.args[name] = value
			}
		case "FROM":
			words := strings.Fields(os.Expand(i.rest, func(name string) string { return global[name] }))
			stage = &image{root: filepath.Join(scratch, fmt.Sprint("stage", len(stages))), scratch: words[0] == "scratch", workdir: "/", args: map[string]string{}}
			name := fmt.Sprint(len(stages))
			if len(words) == 3 && strings.EqualFold(words[1], "as") {
				name = words[2]
			}
			stages[name] = stage
			err = os.Mkdir(stage.root, 0o755)
		case "WORKDIR":
			stage.workdir = i.rest
			err = os.MkdirAll(filepath.Join(stage.root, i.rest), 0o755)
		case "COPY":
			err = stage.copy(i, context, stages)
		case "RUN":
			err = stage.run(i.rest)
		case "USER":
			stage.user = i.rest
		case "ENTRYPOINT":
			err = json.Unmarshal([]byte(i.rest), &stage.entry)
		case "CMD":
			err = json.Unmarshal([]byte(i.rest), &stage.command)
		case "EXPOSE": // is for people
		default:
			err = fmt.Errorf("not known here")
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", i.name, i.rest, err)
		}
	}
	return stage, nil
}

func (s *image) copy(i instruction, context string, stages map[string]*image) error {
	words := strings.Fields(i.rest)
	if len(words) != 2 {
		return fmt.Errorf("want one source and one destination")
	}
	from, skip := context, []string(nil)
	if len(i.flags) > 0 {
		name, _ := strings.CutPrefix(i.flags[0], "--from=")
		if stages[name] == nil {
			return fmt.Errorf("there is no stage %s", name)
		}
		from = stages[name].root
	} else {
		ignored, err := os.ReadFile(filepath.Join(context, ".dockerignore"))
		if err != nil {
			return err
		}
		skip = strings.Fields(string(ignored)) // ours are names in the root
	}
	to := words[1]
	if !filepath.IsAbs(to) {
		to = filepath.Join(s.workdir, to)
	}
	return copyTree(filepath.Join(from, words[0]), filepath.Join(s.root, to), skip)
}

// copyTree copies what is in a directory, but for names directly in it.
func copyTree(from, to string, skip []string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case slices.Contains(skip, name) && d.IsDir():
			return filepath.SkipDir
		case slices.Contains(skip, name):
			return nil
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, info.Mode().Perm())
	})
}

func (s *image) run(script string) error {
	if s.scratch {
		return fmt.Errorf("there is no shell in scratch")
	}
	c := exec.Command("/bin/sh", "-c", script)
	c.Dir = filepath.Join(s.root, s.workdir)
	c.Env = os.Environ()
	for _, name := range slices.Sorted(maps.Keys(s.args)) {
		c.Env = append(c.Env, name+"="+s.args[name])
	}
	if said, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return nil
}
