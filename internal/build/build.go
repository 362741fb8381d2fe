// Package build says what this program is. Snapshots and backups carry it, so that
// their readers know what wrote them.
package build

import (
	"runtime"
	"runtime/debug"
	"strconv"
)

// Set by the linker, as in
// -ldflags "-X github.com/scheduler-store/scheduler-store/internal/build.Version=v1.2.3";
// without, they come from what the Go tool has noted.
var Version, Commit string

const module = "github.com/scheduler-store/scheduler-store"

// Info is what a program was built from.
type Info struct {
	// Version is this module's, also where another program contains it.
	Version string `json:"version"`
	Commit  string `json:"commit"`
	// Modified tells that the sources were not just those of the commit.
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Get returns what this program was built from. Nothing in it is empty.
func Get() Info {
	noted, _ := debug.ReadBuildInfo()
	return get(noted, Version, Commit)
}

// Details returns the same as properties (Aurora: the details of a snapshot's
// scheduler_metadata).
func Details() map[string]string {
	i := Get()
	return map[string]string{"version": i.Version, "commit": i.Commit, "modified": strconv.FormatBool(i.Modified), "go": i.Go, "platform": i.Platform}
}

// get prefers what the linker was told to what the Go tool has noted, which may be nil.
func get(noted *debug.BuildInfo, version, commit string) Info {
	i := Info{Version: version, Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if noted == nil {
		noted = &debug.BuildInfo{}
	}
	if i.Version == "" {
		i.Version = versionIn(noted)
	}
	if noted.Main.Path == module && commit == "" { // another program's commit says nothing of this module
		for _, setting := range noted.Settings {
			switch setting.Key {
			case "vcs.revision":
				i.Commit = setting.Value
			case "vcs.modified":
				i.Modified = setting.Value == "true"
			}
		}
	}
	if i.Version == "" {
		i.Version = "(devel)"
	}
	if i.Commit == "" {
		i.Commit = "unknown"
	}
	return i
}

func versionIn(noted *debug.BuildInfo) string {
	if noted.Main.Path == module {
		return noted.Main.Version
	}
	for _, m := range noted.Deps {
		if m.Path == module {
			return m.Version
		}
	}
	return ""
}
