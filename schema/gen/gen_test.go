package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	dir := t.TempDir()
	if err := run(dir, []string{"../idl/*.thrift"}); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadDir("../api")
	if err != nil || len(have) != len(want) {
		t.Errorf("%d files in api, want %d (%v)", len(have), len(want), err)
	}
	for _, f := range want {
		a, errA := os.ReadFile(filepath.Join(dir, f.Name()))
		b, errB := os.ReadFile(filepath.Join("../api", f.Name()))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s is out of date: run the generator", f.Name())
		}
	}
}

func TestNames(t *testing.T) {
	for idl, want := range map[string]string{
		"taskId": "TaskID", "taskIds": "TaskIDs", "id": "ID", "saveFrameworkId": "SaveFrameworkID", "statsUrlPrefix": "StatsURLPrefix",
		"mesosFetcherUris": "MesosFetcherURIs", "MesosFetcherURI": "MesosFetcherURI", "coordinatorUrl": "CoordinatorURL",
		"Identity": "Identity", "numCpus": "NumCpus", "createdTimestampMs": "CreatedTimestampMs", "timeoutSecs": "TimeoutSecs",
	} {
		if got := goName(idl); got != want {
			t.Errorf("%s becomes %s, want %s", idl, got, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	for idl, want := range map[string]string{
		"struct A { 1: required i32 x }":                        "no field of this schema is required",
		"struct A { 1: string x }":                              "must be optional",
		"struct A { 1: i32 x, 1: i32 y }":                       "used twice",
		"struct A { 1: optional list<list<i32>> x }":            "not supported",
		"struct A { 1: optional map<i32, string> x }":           "string keys",
		"struct A { 1: optional B x }":                          "unknown or not supported",
		"struct A { 1: i16 x }":                                 "unknown or not supported",
		"struct A { -1: i32 x }":                                "must be from 1",
		"struct A { 1: optional i32 x = 3 }":                    "a default is supported only",
		"struct A { 1: optional string x (legacy = \"true\") }": "annotation legacy",
		"struct A { 1: optional i32 x (other = \"true\") }":     "annotation other",
		"struct A { 1: i32 x } (other = \"true\")":              "annotation other",
		"union A { 1: i32 x } (strict = \"true\")":              "annotation strict",
		"struct A { 1: i32 x }\nstruct A { 1: i32 x }":          "",
		"union A { 1: list<i32> x }":                            "branches of a union",
		"typedef i32 T":                                         "typedefs",
		"service S { void f() }":                                "services",
		"struct A { 1: optional set<double> x }":                "a set of double",
	} {
		path := filepath.Join(t.TempDir(), "x.thrift")
		if err := os.WriteFile(path, []byte(idl), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run(t.TempDir(), []string{path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", idl, err, want)
		}
	}
}
