package build

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestGet(t *testing.T) {
	vcs := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "noted"}, {Key: "vcs.modified", Value: "true"}}
	own := &debug.BuildInfo{Main: debug.Module{Path: module, Version: "v0.1.0"}, Settings: vcs}
	within := &debug.BuildInfo{Main: debug.Module{Path: "example.com/other", Version: "v9"}, Settings: vcs,
		Deps: []*debug.Module{{Path: "example.com/more", Version: "v8"}, {Path: module, Version: "v0.2.0"}}}
	for name, tt := range map[string]struct {
		noted                   *debug.BuildInfo
		version, commit         string
		wantVersion, wantCommit string
		wantModified            bool
	}{
		"noted":                  {own, "", "", "v0.1.0", "noted", true},
		"linker":                 {own, "v1.2.3", "told", "v1.2.3", "told", false},
		"linker, version only":   {own, "v1.2.3", "", "v1.2.3", "noted", true},
		"within another program": {within, "", "", "v0.2.0", "unknown", false},
		"nothing":                {nil, "", "", "(devel)", "unknown", false},
	} {
		got := get(tt.noted, tt.version, tt.commit)
		want := Info{tt.wantVersion, tt.wantCommit, tt.wantModified, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestDetails(t *testing.T) {
	details := Details()
	for _, key := range []string{"version", "commit", "modified", "go", "platform"} {
		if details[key] == "" {
			t.Errorf("%s is empty", key)
		}
	}
	if details["go"] != runtime.Version() || len(details) != 5 {
		t.Errorf("%v", details)
	}
}
