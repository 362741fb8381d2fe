#!/bin/sh
# Builds the command as it is released, in the image and in the archives alike: static, and
# the same bytes for the same sources, version and Go, wherever they lie.
#   build.sh OS ARCHITECTURE VERSION COMMIT FILE
set -eu
os=$1 arch=$2 version=$3 commit=$4 file=$5
build=github.com/scheduler-store/scheduler-store/internal/build
CGO_ENABLED=0 GOOS=$os GOARCH=$arch GOFLAGS='' GOAMD64=v1 GOARM64=v8.0 \
	${GO:-go} build -trimpath -buildvcs=false -ldflags "-s -w -X $build.Version=$version -X $build.Commit=$commit" \
	-o "$file" ./cmd/scheduler-store
